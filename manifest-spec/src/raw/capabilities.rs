//! Capabilities and system calls as values of the document.

use crate::decode::{Fault, Text};
use crate::error::quoted;
use crate::shape::TextShape;
use crate::suggest::nearest;

/// A capability by its kernel name, `CAP_` first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Capability(pub(crate) String);

/// Every capability of Linux 5.9 and later without `CAP_`, in the kernel's order
/// (capabilities(7)).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

impl Text for Capability {
    const SHAPE: TextShape = TextShape {
        expected: "a capability such as \"CAP_NET_RAW\"",
        pattern: Some("^([Cc][Aa][Pp]_)?[A-Za-z_]+$"),
        examples: &["CAP_NET_RAW"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if NAMES.contains(&name) {
            return Ok(Self(format!("CAP_{name}")));
        }
        let fault = Fault::because(format!("there is no capability {}", quoted(text)));
        Err(match nearest(name, NAMES) {
            Some(near) => fault.hint(format!("did you mean \"CAP_{near}\"?")),
            None if name == "ALL" => fault.hint("name each capability the program needs"),
            None => fault.hint("the names are in capabilities(7), such as \"CAP_NET_RAW\""),
        })
    }
}

/// A system call's name; whether this kernel has it is the agent's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyscallName(pub(crate) String);

impl Text for SyscallName {
    const SHAPE: TextShape = TextShape {
        expected: "a system call such as \"io_uring_setup\"",
        pattern: Some("^[a-z0-9_]+$"),
        examples: &["io_uring_setup"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !text.is_empty() && text.len() <= 64 && text.chars().all(is_plain) {
            return Ok(Self(text.to_owned()));
        }
        let lower = text.to_ascii_lowercase();
        let lower = lower.strip_prefix("sys_").unwrap_or(&lower);
        let fits = !lower.is_empty() && lower.chars().all(is_plain);
        Err(Fault { message: None, hint: fits.then(|| format!("write \"{lower}\"")) })
    }
}
