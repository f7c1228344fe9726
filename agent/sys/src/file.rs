//! Files by descriptor: opening without following links, and what is then known of the object.
//!
//! Invariant: a name is looked up once, relative to a directory held open; everything after that
//! uses the descriptor.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, SealFlag};
use nix::sys::memfd::MFdFlags;
use nix::sys::stat::{FileStat, Mode, SFlag};
use nix::unistd::{Gid, Uid};

use crate::{Errno, Result};

/// What an open descriptor refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link (held with [`hold`]).
    Link,
    /// A character or block device.
    Device,
    /// A pipe with a name.
    Fifo,
    /// A Unix socket.
    Socket,
}

/// The part of stat(2) that decisions here depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Type of the object.
    pub kind: Kind,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, 0 to 07777.
    pub mode: u32,
    /// Size in bytes.
    pub size: u64,
    /// Device and inode: the object's identity.
    pub identity: (u64, u64),
}

impl From<FileStat> for Status {
    fn from(stat: FileStat) -> Self {
        let kind = match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFDIR => Kind::Directory,
            SFlag::S_IFLNK => Kind::Link,
            SFlag::S_IFIFO => Kind::Fifo,
            SFlag::S_IFSOCK => Kind::Socket,
            SFlag::S_IFREG => Kind::File,
            _ => Kind::Device,
        };
        Status {
            kind,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: stat.st_mode & 0o7777,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            identity: (stat.st_dev, stat.st_ino),
        }
    }
}

/// Hold the object `name` in `directory` without opening it (O_PATH) and without following it if it
/// is a symbolic link.
///
/// # Errors
/// What openat(2) says.
pub fn hold(directory: BorrowedFd<'_>, name: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::openat(directory, name, flags, Mode::empty())
}

/// Hold the current root directory.
///
/// # Errors
/// What open(2) says.
pub fn hold_root() -> Result<OwnedFd> {
    nix::fcntl::open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
}

/// Hold the object at `path` below `root` as if `root` were `/`, refusing every symbolic link
/// (openat2(2) with RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS; kernel 5.6).
///
/// # Errors
/// `ELOOP` for a symbolic link; else what openat2(2) says.
pub fn hold_in_root(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    open_in_root(root, path, OFlag::O_PATH, ResolveFlag::RESOLVE_NO_SYMLINKS)
}

/// Open a file for reading below `root` as if `root` were `/`, links and all: for what belongs to
/// the host itself.
///
/// # Errors
/// What openat2(2) says.
pub fn read_in_root(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    open_in_root(root, path, flags, ResolveFlag::RESOLVE_NO_MAGICLINKS)
}

/// Open an object for reading below `root` as if `root` were `/`, refusing every symbolic link.
///
/// # Errors
/// `ELOOP` for a symbolic link; else what openat2(2) says.
pub fn read_below(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    open_in_root(root, path, flags, ResolveFlag::RESOLVE_NO_SYMLINKS)
}

/// Hold the object at `path` below `root` as [`read_in_root`] finds it.
///
/// # Errors
/// What openat2(2) says.
pub fn follow_in_root(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    open_in_root(root, path, OFlag::O_PATH, ResolveFlag::RESOLVE_NO_MAGICLINKS)
}

fn open_in_root(
    root: BorrowedFd<'_>,
    path: &Path,
    flags: OFlag,
    resolve: ResolveFlag,
) -> Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(resolve | ResolveFlag::RESOLVE_IN_ROOT);
    nix::fcntl::openat2(root, path, how)
}

/// The target of a held symbolic link.
///
/// # Errors
/// What readlinkat(2) says.
pub fn link_target(link: BorrowedFd<'_>) -> Result<PathBuf> {
    nix::fcntl::readlinkat(link, "").map(PathBuf::from)
}

/// The target of the symbolic link `name` in `directory`.
///
/// # Errors
/// `EINVAL` for anything else; else what readlinkat(2) says.
pub fn read_link(directory: BorrowedFd<'_>, name: &Path) -> Result<PathBuf> {
    nix::fcntl::readlinkat(directory, name).map(PathBuf::from)
}

/// Flush a directory's entries to the disk.
///
/// # Errors
/// What fsync(2) says.
pub fn sync(directory: BorrowedFd<'_>) -> Result<()> {
    nix::unistd::fsync(directory)
}

/// Open a directory for reading; the last component is not followed if it is a link.
///
/// # Errors
/// `ENOTDIR`, `ELOOP`; else what openat(2) says.
pub fn open_directory(directory: BorrowedFd<'_>, name: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::openat(directory, name, flags, Mode::empty())
}

/// What a descriptor refers to.
///
/// # Errors
/// What fstat(2) says.
pub fn status(fd: BorrowedFd<'_>) -> Result<Status> {
    nix::sys::stat::fstat(fd).map(Status::from)
}

/// Create a directory; an existing object of that name is `EEXIST`.
///
/// # Errors
/// What mkdirat(2) says.
pub fn make_directory(directory: BorrowedFd<'_>, name: &Path, mode: u32) -> Result<()> {
    nix::sys::stat::mkdirat(directory, name, Mode::from_bits_truncate(mode))
}

/// Create a symbolic link.
///
/// # Errors
/// What symlinkat(2) says.
pub fn make_link(directory: BorrowedFd<'_>, name: &Path, target: &Path) -> Result<()> {
    nix::unistd::symlinkat(target, directory, name)
}

/// Create a new file; an existing object of that name is `EEXIST`.
///
/// # Errors
/// What openat(2) says.
pub fn create(directory: BorrowedFd<'_>, name: &Path, mode: u32) -> Result<OwnedFd> {
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::openat(directory, name, flags, Mode::from_bits_truncate(mode))
}

/// Give an object held by any descriptor another owner.
///
/// # Errors
/// What fchownat(2) says.
pub fn change_owner(fd: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    nix::unistd::fchownat(fd, "", uid, gid, AtFlags::AT_EMPTY_PATH)
}

/// Set the file mode creation mask of this process.
pub fn set_umask(mask: u32) {
    nix::sys::stat::umask(Mode::from_bits_truncate(mask));
}

/// A second descriptor of the same open file, close-on-exec.
///
/// # Errors
/// `EMFILE`, `ENFILE`.
pub fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    fd.try_clone_to_owned()
        .map_err(|error| error.raw_os_error().map_or(Errno::EBADF, Errno::from_raw))
}

/// Open a file for reading, without waiting for the other side of a named pipe.
///
/// # Errors
/// What open(2) says.
pub fn open_for_reading(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    nix::fcntl::open(path, flags, Mode::empty())
}

/// Whether the caller may write to what is at `path`; not on a file system that is read-only.
pub fn is_writable(path: &Path) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok()
}

/// Open the null device, for reading and writing.
///
/// # Errors
/// What open(2) says.
pub fn open_null() -> Result<OwnedFd> {
    nix::fcntl::open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
}

/// Open a file for appending, created with `mode` if it is missing, without following any symbolic
/// link on the way. A named pipe without a reader is an error (`ENXIO`), not a wait.
///
/// # Errors
/// `ELOOP` for a symbolic link; else what openat2(2) says.
pub fn append(path: &Path, mode: u32) -> Result<OwnedFd> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NONBLOCK;
    let how = OpenHow::new()
        .flags(flags | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
        .mode(Mode::from_bits_truncate(mode))
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    nix::fcntl::openat2(nix::fcntl::AT_FDCWD, path, how)
}

/// Hold a directory without following any symbolic link on the way.
///
/// # Errors
/// `ELOOP` for a symbolic link; else what openat2(2) says.
pub fn hold_directory(path: &Path) -> Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    nix::fcntl::openat2(nix::fcntl::AT_FDCWD, path, how)
}

/// Open the file `name` in `directory` for reading and appending, created with `mode` if it is
/// missing and `create` says so; a symbolic link is not followed.
///
/// # Errors
/// `ELOOP` for a symbolic link, `ENOENT`; else what openat(2) says.
pub fn append_in(
    directory: BorrowedFd<'_>,
    name: &Path,
    mode: u32,
    create: bool,
) -> Result<OwnedFd> {
    let mut flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    flags.set(OFlag::O_CREAT, create);
    let flags = flags | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    nix::fcntl::openat(directory, name, flags, Mode::from_bits_truncate(mode))
}

/// Give the object `from` in `directory` the name `to`, which it then has alone.
///
/// # Errors
/// `ENOENT` when there is none; else what renameat(2) says.
pub fn rename_in(directory: BorrowedFd<'_>, from: &Path, to: &Path) -> Result<()> {
    nix::fcntl::renameat(directory, from, directory, to)
}

/// Remove the file `name` from `directory`.
///
/// # Errors
/// `ENOENT` when there is none; else what unlinkat(2) says.
pub fn remove_in(directory: BorrowedFd<'_>, name: &Path) -> Result<()> {
    nix::unistd::unlinkat(directory, name, nix::unistd::UnlinkatFlags::NoRemoveDir)
}

/// What has the name `name` in `directory`, a symbolic link itself and not what it leads to.
///
/// # Errors
/// `ENOENT` when there is none; else what fstatat(2) says.
pub fn status_in(directory: BorrowedFd<'_>, name: &Path) -> Result<Status> {
    let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
    nix::sys::stat::fstatat(directory, name, flags).map(Status::from)
}

/// A file in memory that holds these bytes and that nobody can change any more (memfd_create(2),
/// F_ADD_SEALS). `name` is what /proc shows.
///
/// # Errors
/// What memfd_create(2), write(2) or fcntl(2) say.
pub fn sealed(name: &CStr, bytes: &[u8]) -> Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = nix::sys::memfd::memfd_create(name, flags)?;
    write_all(file.as_fd(), bytes)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_ADD_SEALS(seals | SealFlag::F_SEAL_SEAL))?;
    Ok(file)
}

/// A pipe: the end to read from (non-blocking) and the end to write to.
///
/// # Errors
/// What pipe2(2) says.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reader, writer))
}

/// A pipe for somebody else's input: the end to write to (non-blocking) and the end to read from.
///
/// # Errors
/// What pipe2(2) says.
pub fn input_pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((writer, reader))
}

/// Let a pipe hold this many bytes before its writer waits, where the limit of the caller allows it
/// (`/proc/sys/fs/pipe-max-size`, pipe(7)).
///
/// # Errors
/// `EPERM` above the limit.
pub fn widen_pipe(pipe: BorrowedFd<'_>, bytes: i32) -> Result<()> {
    nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_SETPIPE_SZ(bytes)).map(|_| ())
}

/// Have calls on this open file answer `EAGAIN` instead of waiting, for everybody who has it.
///
/// # Errors
/// What fcntl(2) says.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<()> {
    let flags = OFlag::from_bits_retain(nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFL)?);
    let flags = nix::fcntl::FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK);
    nix::fcntl::fcntl(fd, flags).map(|_| ())
}

/// Read once.
///
/// # Errors
/// What read(2) says.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    nix::unistd::read(fd, buffer)
}

/// Write once; the number of bytes taken.
///
/// # Errors
/// What write(2) says.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    nix::unistd::write(fd, bytes)
}

/// Write all of it, waiting as long as it takes.
///
/// # Errors
/// What write(2) says.
pub fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                crate::poll::wait(&[crate::poll::Interest { fd, write: true }], None)?;
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Standard input, output and error as borrowed descriptors.
pub fn standard() -> [BorrowedFd<'static>; 3] {
    // SAFETY: 0, 1 and 2 are open in every program started by Rust's runtime (it opens /dev/null
    // for missing ones) and nothing in this workspace closes them.
    [0, 1, 2].map(|number| unsafe { BorrowedFd::borrow_raw(number) })
}
