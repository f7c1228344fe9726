//! Mounts by the descriptor-based API of kernel 5.2 and 5.12: fsopen(2), open_tree(2),
//! move_mount(2), mount_setattr(2), and pivot_root(2).
//!
//! Invariant: a mount is made detached, gets its attributes, and only then becomes visible; its
//! target is a descriptor, never a path.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::mount::MntFlags;

use crate::raw::{check, descriptor};
use crate::{Errno, Result};

/// Attributes of a mount (mount_setattr(2)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// MOUNT_ATTR_RDONLY.
    pub read_only: bool,
    /// MOUNT_ATTR_NOSUID.
    pub no_setuid: bool,
    /// MOUNT_ATTR_NODEV.
    pub no_devices: bool,
    /// MOUNT_ATTR_NOEXEC.
    pub no_exec: bool,
}

impl Attributes {
    fn bits(self) -> u64 {
        let pairs = [
            (self.read_only, libc::MOUNT_ATTR_RDONLY),
            (self.no_setuid, libc::MOUNT_ATTR_NOSUID),
            (self.no_devices, libc::MOUNT_ATTR_NODEV),
            (self.no_exec, libc::MOUNT_ATTR_NOEXEC),
        ];
        pairs.iter().filter(|(on, _)| *on).fold(0, |bits, (_, bit)| bits | *bit)
    }
}

/// A new file system of `kind` with options, as a detached mount.
///
/// An option without a value is a flag. `EPERM` for `proc` means that this namespace sees no
/// complete /proc (a container that masks parts of it).
///
/// # Errors
/// What fsopen(2), fsconfig(2) and fsmount(2) say.
pub fn new_filesystem(
    kind: &CStr,
    options: &[(&CStr, Option<&CStr>)],
    attributes: Attributes,
) -> Result<OwnedFd> {
    // SAFETY: fsopen reads a NUL-terminated name and returns a new descriptor.
    let context = unsafe {
        descriptor(libc::syscall(libc::SYS_fsopen, kind.as_ptr(), libc::FSOPEN_CLOEXEC))
    }?;
    for (key, value) in options {
        let command =
            if value.is_some() { libc::FSCONFIG_SET_STRING } else { libc::FSCONFIG_SET_FLAG };
        let value = value.map_or(std::ptr::null(), CStr::as_ptr);
        configure(&context, command, key.as_ptr(), value)?;
    }
    configure(&context, libc::FSCONFIG_CMD_CREATE, std::ptr::null(), std::ptr::null())?;
    let (fd, bits) = (context.as_raw_fd(), attributes.bits());
    // SAFETY: fsmount takes integers only and returns a new descriptor.
    unsafe { descriptor(libc::syscall(libc::SYS_fsmount, fd, libc::FSMOUNT_CLOEXEC, bits)) }
}

fn configure(
    context: &OwnedFd,
    command: libc::c_uint,
    key: *const libc::c_char,
    value: *const libc::c_char,
) -> Result<()> {
    let fd = context.as_raw_fd();
    // SAFETY: key and value are null or NUL-terminated strings that outlive the call.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, fd, command, key, value, 0) })?;
    Ok(())
}

/// A detached copy of the mount tree at `source` (a bind mount), with its submounts if `recursive`.
///
/// # Errors
/// `EINVAL` when `source` belongs to another mount namespace; else what open_tree(2) says.
pub fn clone_tree(source: BorrowedFd<'_>, recursive: bool) -> Result<OwnedFd> {
    let recursion = if recursive { libc::AT_RECURSIVE as libc::c_uint } else { 0 };
    let flags = libc::OPEN_TREE_CLONE
        | libc::OPEN_TREE_CLOEXEC
        | libc::AT_EMPTY_PATH as libc::c_uint
        | recursion;
    let (fd, empty) = (source.as_raw_fd(), c"".as_ptr());
    // SAFETY: the path is an empty NUL-terminated string; the call returns a new descriptor.
    unsafe { descriptor(libc::syscall(libc::SYS_open_tree, fd, empty, flags)) }
}

/// struct mount_attr of linux/mount.h (32 bytes).
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

fn set_attr(mount: BorrowedFd<'_>, recursive: bool, attr: &MountAttr) -> Result<()> {
    let recursion = if recursive { libc::AT_RECURSIVE } else { 0 };
    let (fd, empty, flags) = (mount.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH | recursion);
    let (attr, size) = (std::ptr::from_ref(attr), size_of::<MountAttr>());
    // SAFETY: an empty NUL-terminated path and a valid mount_attr of the size given.
    check(unsafe { libc::syscall(libc::SYS_mount_setattr, fd, empty, flags, attr, size) })?;
    Ok(())
}

/// Add attributes to a mount, and to its submounts if `recursive` (kernel 5.12).
///
/// # Errors
/// What mount_setattr(2) says.
pub fn add_attributes(
    mount: BorrowedFd<'_>,
    attributes: Attributes,
    recursive: bool,
) -> Result<()> {
    set_attr(mount, recursive, &MountAttr { set: attributes.bits(), ..MountAttr::default() })
}

/// Stop mount events from passing between this namespace's tree below `mount` and any other.
///
/// # Errors
/// What mount_setattr(2) says.
pub fn make_private(mount: BorrowedFd<'_>) -> Result<()> {
    set_attr(mount, true, &MountAttr { propagation: libc::MS_PRIVATE, ..MountAttr::default() })
}

/// Attach a detached mount onto the file or directory `target`.
///
/// # Errors
/// What move_mount(2) says.
pub fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<()> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    let (from, to, empty) = (mount.as_raw_fd(), target.as_raw_fd(), c"".as_ptr());
    // SAFETY: both paths are empty NUL-terminated strings; no memory is written.
    check(unsafe { libc::syscall(libc::SYS_move_mount, from, empty, to, empty, flags) })?;
    Ok(())
}

/// Make the mount at `root` the root of this namespace and let go of the old one.
///
/// # Errors
/// What fchdir(2), pivot_root(2) and umount2(2) say.
pub fn pivot_into(root: BorrowedFd<'_>) -> Result<()> {
    nix::unistd::fchdir(root)?;
    // With "." twice the old root is stacked on the new one, where the next line finds it.
    nix::unistd::pivot_root(".", ".")?;
    nix::mount::umount2(".", MntFlags::MNT_DETACH)?;
    nix::unistd::chdir("/")
}

/// Whether the kernel has mount_setattr(2), the newest call of this file.
pub fn supported() -> bool {
    // SAFETY: an invalid descriptor and a null attribute of size 0: the kernel can only refuse.
    let value = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            -1,
            c"".as_ptr(),
            0,
            std::ptr::null::<MountAttr>(),
            0,
        )
    };
    check(value) != Err(Errno::ENOSYS)
}
