//! A service: where clients find it, and who answers them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

use super::{Affinity, Backend, BackendId, State};
use crate::nft::Transport;
use crate::policy::Policy;

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub(super) holder: String,
    pub(super) listens: Vec<Listen>,
    pub(super) policy: Policy,
    pub(super) affinity: Option<Affinity>,
    pub(super) unserved: Unserved,
    pub(super) backends: BTreeMap<BackendId, Backend>,
}

/// Where a service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listen {
    /// The address.
    pub at: At,
    /// TCP or UDP.
    pub transport: Transport,
    /// The port.
    pub port: NonZeroU16,
}

/// The address a service is reached at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// Every one this host has or will have, 127.0.0.1 and ::1 for its own clients among them.
    Any,
    /// This one.
    Address(IpAddr),
}

/// What clients meet when no backend serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unserved {
    /// They are told at once.
    Refuse,
    /// They are left waiting, and try again by themselves.
    Ignore,
}

impl Service {
    /// Who registered the name.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Where clients find it: at least one place.
    pub fn listens(&self) -> &[Listen] {
        &self.listens
    }

    /// How a backend is chosen.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// For how long clients stay with their backends.
    pub fn affinity(&self) -> Option<Affinity> {
        self.affinity
    }

    /// What clients meet when nobody serves.
    pub fn unserved(&self) -> Unserved {
        self.unserved
    }

    /// Its backends by name, those that do not serve among them.
    pub fn backends(&self) -> impl Iterator<Item = (&BackendId, &Backend)> {
        self.backends.iter()
    }

    /// Those that get new connections.
    pub fn serving(&self) -> impl Iterator<Item = (&BackendId, &Backend)> {
        self.backends.iter().filter(|(_, backend)| backend.state == State::Serving)
    }
}

impl Listen {
    /// Whether a packet could be for both.
    pub fn overlaps(&self, other: &Listen) -> bool {
        let same = self.transport == other.transport && self.port == other.port;
        same && (self.at == At::Any || other.at == At::Any || self.at == other.at)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listen { at, transport, port } = self;
        match at {
            At::Any => write!(f, "{transport} port {port}"),
            At::Address(address) => write!(f, "{transport} port {port} of {address}"),
        }
    }
}
