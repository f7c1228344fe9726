//! Landlock (landlock(7), kernel 5.13): a second wall that the process builds around itself.
//!
//! Invariant: a rule set only ever restricts the caller and what it starts; it can't be undone.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use crate::Result;
use crate::raw::{check, descriptor};

/// Access rights to files, as bits of LANDLOCK_ACCESS_FS_*.
pub mod access {
    /// Execute a file.
    pub const EXECUTE: u64 = 1 << 0;
    /// Open a file for writing.
    pub const WRITE_FILE: u64 = 1 << 1;
    /// Open a file for reading.
    pub const READ_FILE: u64 = 1 << 2;
    /// List a directory.
    pub const READ_DIR: u64 = 1 << 3;
    /// From here to [`MAKE_SYM`]: create and remove entries.
    pub const REMOVE_DIR: u64 = 1 << 4;
    /// The last right of ABI 1.
    pub const MAKE_SYM: u64 = 1 << 12;
    /// Link and rename between directories (ABI 2).
    pub const REFER: u64 = 1 << 13;
    /// Truncate (ABI 3).
    pub const TRUNCATE: u64 = 1 << 14;
    /// ioctl(2) on devices (ABI 5).
    pub const IOCTL_DEV: u64 = 1 << 15;

    /// Every right that Landlock `abi` knows.
    pub const fn all(abi: u32) -> u64 {
        let last = match abi {
            0 => return 0,
            1 => MAKE_SYM,
            2 => REFER,
            3 | 4 => TRUNCATE,
            _ => IOCTL_DEV,
        };
        (last << 1) - 1
    }
}

/// struct landlock_ruleset_attr as of ABI 6; older kernels take a prefix of it.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// struct landlock_path_beneath_attr, packed as in linux/landlock.h.
#[repr(C, packed)]
struct PathBeneathAttr {
    allowed_access: u64,
    parent_fd: i32,
}

/// struct landlock_net_port_attr.
#[repr(C)]
struct NetPortAttr {
    allowed_access: u64,
    port: u64,
}

/// Access rights to TCP ports, as bits of LANDLOCK_ACCESS_NET_* (ABI 4, kernel 6.7).
pub mod tcp {
    /// bind(2).
    pub const BIND: u64 = 1 << 0;
    /// connect(2).
    pub const CONNECT: u64 = 1 << 1;
}

const RULE_NET_PORT: u32 = 2;
const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;
const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
const SCOPE_SIGNAL: u64 = 2;

/// The kernel's Landlock ABI, 0 where it has none or it is switched off.
pub fn abi() -> u32 {
    let null = std::ptr::null::<RulesetAttr>();
    // SAFETY: with the version flag the attribute is null and its size 0, as the call requires.
    let value = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, null, 0_usize, CREATE_RULESET_VERSION)
    };
    check(value).map_or(0, |version| version as u32)
}

/// A rule set under construction.
#[derive(Debug)]
pub struct Ruleset {
    fd: OwnedFd,
    handled: u64,
}

impl Ruleset {
    /// An empty rule set that denies every file access `abi` knows, these accesses to TCP ports from
    /// ABI 4, and from ABI 6 and with `scoped`, signals to and abstract sockets of processes outside.
    ///
    /// # Errors
    /// `EOPNOTSUPP`, `ENOSYS` without Landlock.
    pub fn new(abi: u32, tcp: u64, scoped: bool) -> Result<Self> {
        let handled = access::all(abi);
        let scopes = if scoped { SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL } else { 0 };
        let attr =
            RulesetAttr { handled_access_fs: handled, handled_access_net: tcp, scoped: scopes };
        let size = match abi {
            0..=3 => size_of::<u64>(),
            4..=5 => 2 * size_of::<u64>(),
            _ => size_of::<RulesetAttr>(),
        };
        // SAFETY: `attr` is a valid attribute at least `size` bytes long; a new descriptor returns.
        let fd = unsafe {
            let attr = &raw const attr;
            descriptor(libc::syscall(libc::SYS_landlock_create_ruleset, attr, size, 0_u32))
        }?;
        Ok(Ruleset { fd, handled })
    }

    /// Allow `allowed` on the held file, or on everything below the held directory. Rights this
    /// rule set does not handle are left out.
    ///
    /// # Errors
    /// `EINVAL` for a right that does not fit the object's type.
    pub fn allow(&self, object: BorrowedFd<'_>, allowed: u64) -> Result<()> {
        let attr = PathBeneathAttr {
            allowed_access: allowed & self.handled,
            parent_fd: object.as_raw_fd(),
        };
        let (fd, attr) = (self.fd.as_raw_fd(), &raw const attr);
        // SAFETY: `attr` is a valid path-beneath attribute that holds an open descriptor.
        let value = unsafe {
            libc::syscall(libc::SYS_landlock_add_rule, fd, RULE_PATH_BENEATH, attr, 0_u32)
        };
        check(value).map(|_| ())
    }

    /// Allow accesses of [`tcp`] to a port; 0 stands for one that the kernel chooses.
    ///
    /// # Errors
    /// `EINVAL` for an access this rule set does not handle, `EAFNOSUPPORT` without TCP.
    pub fn allow_port(&self, port: u16, allowed: u64) -> Result<()> {
        let attr = NetPortAttr { allowed_access: allowed, port: u64::from(port) };
        let (fd, attr) = (self.fd.as_raw_fd(), &raw const attr);
        // SAFETY: `attr` is a valid port attribute.
        let value =
            unsafe { libc::syscall(libc::SYS_landlock_add_rule, fd, RULE_NET_PORT, attr, 0_u32) };
        check(value).map(|_| ())
    }

    /// Apply the rule set to this thread and what it starts; needs no_new_privs.
    ///
    /// # Errors
    /// `EPERM` without no_new_privs, `E2BIG` beyond 16 stacked rule sets.
    pub fn restrict_self(self) -> Result<()> {
        let fd = self.fd.as_raw_fd();
        // SAFETY: a valid rule set descriptor and no flags.
        check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, fd, 0_u32) })?;
        Ok(())
    }
}
