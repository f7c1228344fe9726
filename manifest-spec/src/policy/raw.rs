//! The host policy as it is written: its keys, with types and documentation.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{PortRange, Verb};
use crate::decode::{At, Fault, Short, Text, Whole, choice, table};
use crate::limits;
use crate::names::AppName;
use crate::quantity::{Bytes, CpuShare};
use crate::raw::capabilities::{Capability, SyscallName};
use crate::raw::paths::check_form;
use crate::shape::TextShape;

/// The last uid before the one that means "no uid" where uids are signed.
pub(super) const LAST_UID: u32 = i32::MAX as u32 - 1;

table! {
    /// What the operator of a host allows.
    RawHostPolicy {
        /// The uids that hostctl hands out to apps.
        uids: RawUids = "see its keys", "{ first = 1900000000, count = 65536 }";
        /// What apps may have beyond the defaults.
        allow: RawAllow = "see its keys", "{ root = [\"backup\"] }";
        /// What no app ever gets.
        deny: RawDeny = "see its keys", "{ paths = [\"/srv/secret\"] }";
        /// The most an app may ask for.
        ceilings: RawCeilings = "none", "{ memory = \"4G\" }";
        /// The ports that instances lease.
        ports: RawPorts = "see its keys", "{ range = \"20000-29999\" }";
        /// The addresses that instances can have for themselves.
        addresses: RawAddresses = "see its keys", "{ v4 = \"10.99.0.0/16\" }";
        /// Who may do what; without it anyone may run anything as themselves, and nothing else.
        users: Vec<At<RawUser>> = "anyone runs anything", "[{ uid = 1000, apps = [\"shop\"] }]";
    }
}

table! {
    /// A range of uids.
    RawUids {
        /// The first uid.
        first: Whole<1000, LAST_UID> = "1900000000", "1900000000";
        /// How many there are.
        count: Whole<1, LAST_UID> = "65536", "65536";
    }
}

table! {
    /// What apps may have.
    RawAllow {
        /// Apps that may run as root.
        root: Vec<At<AppName>> = "none", "[\"backup\"]";
        /// The only system calls that apps may add to the default filter.
        syscalls: Vec<At<SyscallName>> = "any", "[\"io_uring_setup\"]";
        /// The only capabilities that apps may have.
        capabilities: Vec<At<Capability>> = "any", "[\"CAP_NET_RAW\"]";
    }
}

table! {
    /// What no app gets.
    RawDeny {
        /// Absolute paths that are never granted, nor anything below them.
        paths: Vec<At<DeniedPath>> = "the built-in ones", "[\"/srv/secret\"]";
    }
}

table! {
    /// The most an app may ask for.
    RawCeilings {
        /// Memory of an instance.
        memory: Bytes = "none", "\"4G\"";
        /// Processor time of an instance.
        cpu: CpuShare = "none", "\"400%\"";
        /// Processes of an instance.
        processes: Whole<1, { limits::PROCESSES }> = "none", "512";
        /// Open descriptors of a process.
        files: Whole<1, { limits::FILES }> = "none", "65536";
        /// Instances of a service.
        count: Whole<1, { limits::COUNT }> = "none", "16";
    }
}

table! {
    /// The ports that instances lease.
    RawPorts {
        /// First and last port.
        range: RawRange = "20000-29999", "\"20000-29999\"";
    }
}

table! {
    /// Networks for addresses of instances, on the loopback interface.
    RawAddresses {
        /// IPv4 network.
        v4: RawNetwork4 = "10.99.0.0/16", "\"10.99.0.0/16\"";
        /// IPv6 network, a /64.
        v6: RawNetwork6 = "fd5c:91e3:7ab4::/64", "\"fd5c:91e3:7ab4::/64\"";
    }
}

table! {
    /// What a user or a group may do; exactly one of `uid`, `user`, `gid` and `group`.
    RawUser {
        /// The user, by number.
        uid: Whole<0, LAST_UID> = "none", "1000";
        /// The user, by name.
        user: AccountName = "none", "\"alice\"";
        /// The group, by number.
        gid: Whole<0, LAST_UID> = "none", "100";
        /// The group, by name.
        group: AccountName = "none", "\"deploy\"";
        /// Names of apps, or "*" for all.
        apps: Vec<At<AppPattern>> = "required", "[\"shop\"]";
        /// What may be done to them.
        may: Vec<At<Verb>> = "run", "[\"look\", \"control\"]";
    }
}

impl Short for RawHostPolicy {}
impl Short for RawUids {}
impl Short for RawAllow {}
impl Short for RawDeny {}
impl Short for RawCeilings {}
impl Short for RawPorts {}
impl Short for RawAddresses {}
impl Short for RawUser {}

/// An absolute path.
#[derive(Debug, Clone)]
pub(crate) struct DeniedPath(pub(super) String);

impl Text for DeniedPath {
    const SHAPE: TextShape = TextShape {
        expected: "an absolute path such as \"/srv/secret\"",
        pattern: Some("^/"),
        examples: &["/srv/secret"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        check_form(text)?;
        if text.starts_with('/') { Ok(Self(text.to_owned())) } else { Err(Fault::default()) }
    }
}

/// First and last port.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawRange(pub(super) PortRange);

impl Text for RawRange {
    const SHAPE: TextShape = TextShape {
        expected: "a range of ports such as \"20000-29999\"",
        pattern: Some("^[0-9]+-[0-9]+$"),
        examples: &["20000-29999"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let ends = text.split_once('-').and_then(|(first, last)| {
            Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
        });
        match ends {
            Some((first, last)) if first >= 1024 && first <= last => {
                Ok(Self(PortRange { first, last }))
            }
            Some((first, last)) if first > last => {
                Err(Fault::default().hint(format!("write \"{last}-{first}\"")))
            }
            Some(_) => Err(Fault::because("the range starts below 1024, among well-known ports")),
            None => Err(Fault::default()),
        }
    }
}

/// An IPv4 network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawNetwork4(pub(super) Ipv4Addr, pub(super) u8);

impl Text for RawNetwork4 {
    const SHAPE: TextShape = TextShape {
        expected: "a private IPv4 network such as \"10.99.0.0/16\"",
        pattern: Some("^[0-9.]+/[0-9]+$"),
        examples: &["10.99.0.0/16"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let (address, prefix) = text.split_once('/').ok_or_else(Fault::default)?;
        let address: Ipv4Addr = address.parse().map_err(|_| Fault::default())?;
        let prefix: u8 = prefix.parse().map_err(|_| Fault::default())?;
        if !(8..=30).contains(&prefix) {
            return Err(Fault::because("the prefix length is 8 to 30"));
        }
        let network = Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << (32 - prefix)));
        if network != address {
            return Err(Fault::because("the address has bits beyond the prefix")
                .hint(format!("write \"{network}/{prefix}\"")));
        }
        match address.is_private() {
            true => Ok(Self(address, prefix)),
            false => Err(Fault::because("the network is not a private one (RFC 1918)")
                .hint("write \"10.99.0.0/16\"")),
        }
    }
}

/// An IPv6 network of 64 bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawNetwork6(pub(super) Ipv6Addr);

impl Text for RawNetwork6 {
    const SHAPE: TextShape = TextShape {
        expected: "a unique local IPv6 network such as \"fd5c:91e3:7ab4::/64\"",
        pattern: Some("^[0-9a-f:]+/64$"),
        examples: &["fd5c:91e3:7ab4::/64"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let address = text.strip_suffix("/64").ok_or_else(Fault::default)?;
        let address: Ipv6Addr = address.parse().map_err(|_| Fault::default())?;
        if address.to_bits() as u64 != 0 {
            return Err(Fault::because("the address has bits beyond the prefix"));
        }
        match address.is_unique_local() {
            true => Ok(Self(address)),
            false => Err(Fault::because("the network is not a unique local one (RFC 4193)")
                .hint("write \"fd5c:91e3:7ab4::/64\"")),
        }
    }
}

choice!(Verb {
    "run" => Run: "run in the foreground, as oneself";
    "look" => Look: "ps, status, events, history and plan; comes with the three below";
    "control" => Control: "start, stop, restart and scale";
    "deploy" => Deploy: "deploy, roll back and remove";
    "exec" => Exec: "run a command inside";
});

/// The name of a user or a group of the host.
#[derive(Debug, Clone)]
pub(crate) struct AccountName(pub(super) String);

impl Text for AccountName {
    const SHAPE: TextShape = TextShape {
        expected: "a user's or group's name such as \"alice\"",
        pattern: Some("^[^:,/\\s-][^:,/\\s]*$"),
        examples: &["alice"],
    };

    // What passwd(5) and group(5) can hold. Directories such as LDAP allow more than useradd does.
    fn read(text: &str) -> Result<Self, Fault> {
        let no_part = |c: char| ":,/".contains(c) || c.is_whitespace() || c.is_control();
        if text.is_empty() || text.starts_with('-') || text.contains(no_part) {
            return Err(Fault::default());
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let hint = format!("write uid = {text} for a user, gid = {text} for a group");
            return Err(Fault::because("a name is no number").hint(hint));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of an app, or all of them.
#[derive(Debug, Clone)]
pub(crate) struct AppPattern(pub(super) String);

impl Text for AppPattern {
    const SHAPE: TextShape = TextShape {
        expected: "an app's name or \"*\"",
        pattern: Some("^(\\*|[a-z][a-z0-9-]*)$"),
        examples: &["shop", "*"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        match text {
            "*" => Ok(Self(text.to_owned())),
            name => AppName::read(name).map(|name| Self(name.to_string())),
        }
    }
}
