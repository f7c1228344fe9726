//! What can be switched: forwarding of one protocol on one interface.
//!
//! Invariant: it looks, and changes nothing.

use std::path::PathBuf;

use loadbalancer::nft::Family;

use crate::network::link::Links;
use crate::network::private::{PrivateError, settings};

/// What the host does with packets of IPv6 that are not for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network::private) enum Internet {
    /// It can't be made to forward them without side effects.
    Ipv4Only,
    /// An interface can be switched on (`force_forwarding`, kernel 6.17).
    Ipv6Switched,
    /// It forwards them anyway.
    Ipv6Everywhere,
}

impl Internet {
    /// Ask the host.
    pub(in crate::network::private) fn of_host() -> Internet {
        if settings::is_on(&settings::ipv6("all", "forwarding")) {
            Internet::Ipv6Everywhere
        } else if settings::ipv6("all", "force_forwarding").exists() {
            Internet::Ipv6Switched
        } else {
            Internet::Ipv4Only
        }
    }

    /// The protocols that interfaces are switched on for.
    pub(in crate::network::private) fn switched(self, ipv6: bool) -> &'static [Family] {
        match self {
            Internet::Ipv6Switched if ipv6 => &[Family::Ipv4, Family::Ipv6],
            _ => &[Family::Ipv4],
        }
    }
}

/// Forwarding of one protocol on one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network::private) struct Switch {
    /// The protocol.
    pub(super) family: Family,
    /// The interface.
    pub(super) interface: String,
}

impl Switch {
    pub(in crate::network::private) fn new(family: Family, interface: String) -> Switch {
        Switch { family, interface }
    }

    /// The file that switches it.
    pub(in crate::network::private) fn setting(&self) -> PathBuf {
        match self.family {
            Family::Ipv4 => settings::ipv4(&self.interface, "forwarding"),
            Family::Ipv6 => settings::ipv6(&self.interface, "force_forwarding"),
        }
    }

    /// Whether somebody has switched it for all interfaces, which changes each of them.
    fn everywhere(&self) -> bool {
        settings::is_on(&Switch { interface: "all".to_owned(), ..*self }.setting())
    }

    /// `ipv4-eth0`.
    pub(in crate::network::private) fn label(&self) -> String {
        let family = match self.family {
            Family::Ipv4 => "ipv4",
            Family::Ipv6 => "ipv6",
        };
        format!("{family}-{}", self.interface)
    }

    /// The other way round.
    pub(in crate::network::private) fn from_label(label: &str) -> Option<Switch> {
        let (family, interface) = label.split_once('-')?;
        let family = match family {
            "ipv4" => Family::Ipv4,
            "ipv6" => Family::Ipv6,
            _ => return None,
        };
        Some(Switch { family, interface: interface.to_owned() })
    }

    /// The table that guards it.
    pub(in crate::network::private) fn guard(&self) -> String {
        format!("hostctl-guard-{}", self.label())
    }

    /// Which device this is, and whether the whole host forwards: what a record says, so that a
    /// device of the same name that came later is not taken for it.
    pub(in crate::network::private) fn circumstances(
        &self,
        links: &Links,
    ) -> Result<Option<String>, PrivateError> {
        let index = links.index(&self.interface)?;
        Ok(index.map(|index| format!("{index} {}\n", u8::from(self.everywhere()))))
    }
}
