//! What the operator of a host allows (`/etc/hostctl/policy.toml`).
//!
//! Invariant: a policy only narrows: it refuses, and never changes a value of a manifest.

mod raw;
mod read;
mod users;

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::error::Diagnostics;
use crate::names::AppName;
use crate::quantity::{Bytes, CpuShare};

pub use users::{Caller, UserRule, Verb, Who};

/// The whole policy; `Default` is a host without the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HostPolicy {
    /// Where apps' own uids come from.
    pub uids: UidRange,
    /// What apps may have beyond the defaults.
    pub allow: Allow,
    /// What no app ever gets.
    pub deny: Deny,
    /// The most an app may ask for.
    pub ceilings: Ceilings,
    /// Where instances' ports come from.
    pub ports: PortRange,
    /// Where instances' own addresses come from.
    pub addresses: AddressRange,
    /// Who may do what; `None`: anyone may run anything as themselves, and nothing else.
    pub users: Option<Vec<UserRule>>,
}

/// A range of uids (and equal gids) that hostctl alone hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UidRange {
    /// First uid.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl Default for UidRange {
    /// Above every range systemd and the subordinate ids of `useradd` use, and below 2^31, where
    /// some file systems and tools stop.
    fn default() -> Self {
        Self { first: 1_900_000_000, count: 65_536 }
    }
}

/// `[allow]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Allow {
    /// Apps that may run as uid 0.
    pub root: Vec<String>,
    /// The only system calls `access.syscalls` may add; `None`: any.
    pub syscalls: Option<Vec<String>>,
    /// The only capabilities `access.capabilities` may name; `None`: any.
    pub capabilities: Option<Vec<String>>,
}

/// `[deny]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Deny {
    /// Absolute paths never granted, in addition to the built-in ones.
    pub paths: Vec<String>,
}

/// `[ceilings]`; `None` is no ceiling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Ceilings {
    /// Memory of an instance.
    pub memory: Option<Bytes>,
    /// Processor time of an instance.
    pub cpu: Option<CpuShare>,
    /// Processes of an instance.
    pub processes: Option<u32>,
    /// Descriptors of a process.
    pub files: Option<u32>,
    /// Instances of a service.
    pub count: Option<u32>,
}

/// `[ports]`: both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

impl Default for PortRange {
    /// Below the kernel's default ephemeral range (32768–60999), so no client takes one by chance.
    fn default() -> Self {
        Self { first: 20_000, last: 29_999 }
    }
}

/// `[addresses]`: networks that exist on this host's loopback interface only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AddressRange {
    /// IPv4 network address.
    pub v4: Ipv4Addr,
    /// Its prefix length, 8 to 30.
    pub prefix: u8,
    /// IPv6 network address; its prefix length is 64.
    pub v6: Ipv6Addr,
}

impl Default for AddressRange {
    /// Private addresses (RFC 1918), and unique local ones with a random global id (RFC 4193).
    fn default() -> Self {
        let v6 = Ipv6Addr::new(0xfd5c, 0x91e3, 0x7ab4, 0, 0, 0, 0, 0);
        Self { v4: Ipv4Addr::new(10, 99, 0, 0), prefix: 16, v6 }
    }
}

impl HostPolicy {
    /// Reads and validates the file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        read::parse(file, text)
    }

    /// Whether the app may run as uid 0; a copy with a port offset counts as its app.
    #[must_use]
    pub fn allows_root(&self, app: &AppName) -> bool {
        self.allow.root.iter().any(|name| name == app.base())
    }
}
