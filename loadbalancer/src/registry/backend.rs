//! One backend of a service.

use super::{State, Target, Weight};

/// Where a backend is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// On this host: its answers pass here, so it sees the addresses of its clients. Nobody outside
    /// reaches it but through its service.
    Local,
    /// Elsewhere: its answers come back only if it sees this host's address.
    Remote,
}

/// A backend to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBackend {
    /// Where connections are sent.
    pub target: Target,
    /// Where that is.
    pub place: Place,
    /// What it counts for.
    pub weight: Weight,
    /// Which version of the app it runs, if that is known.
    pub version: Option<String>,
}

/// A backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    pub(super) given: NewBackend,
    pub(super) state: State,
    pub(super) connections: u64,
}

impl Backend {
    /// What it was registered with, and its weight as it is now.
    pub fn given(&self) -> &NewBackend {
        &self.given
    }

    /// How it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// How many connections it was last seen to have.
    pub fn connections(&self) -> u64 {
        self.connections
    }
}
