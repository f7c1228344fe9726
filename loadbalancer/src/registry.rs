//! Names, services and their backends: the one state that the table is computed from.
//!
//! Owns who holds a name, where a service listens, and how each backend stands. Invariant: one
//! mutator, [`Registry::apply`], which does a change as a whole or refuses it; no two services
//! share a name or an address and port, and a backend is chosen only while it serves. Never reads a
//! clock, never asks a host, never speaks to the kernel: who watches processes and their health
//! reports it here.

mod backend;
mod change;
mod name;
mod service;
mod state;
mod value;

use std::collections::BTreeMap;

pub use backend::{Backend, NewBackend, Place};
pub use change::{Change, Refused};
pub use name::{BackendId, Name, NameError};
pub use service::{At, Listen, Service, Unserved};
pub use state::{Event, State, Verdict};
pub use value::{Affinity, Percent, Target, ValueError, Weight};

/// Every service by its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registry {
    services: BTreeMap<Name, Service>,
}

impl Registry {
    /// A service.
    pub fn service(&self, name: &Name) -> Option<&Service> {
        self.services.get(name)
    }

    /// All services in the order of their names.
    pub fn services(&self) -> impl Iterator<Item = (&Name, &Service)> {
        self.services.iter()
    }

    /// Take in a change; the service whose part of the table may now be another.
    ///
    /// # Errors
    /// Why it was refused; nothing has changed then.
    pub fn apply(&mut self, change: Change) -> Result<Name, Refused> {
        change::apply(&mut self.services, change)
    }
}

#[cfg(test)]
mod tests;
