//! The balancer's table, computed from the registry, and the difference of two.
//!
//! Owns the table `inet hostctl`: its shape, which is the same whatever the services are, and the
//! elements that each service puts into its maps. Invariant: pure; a change is elements that go
//! and elements that come, never a rule: replacing one would reset whose turn it is. A service's
//! elements depend on nothing but that service.
//!
//! A packet's way, for its connection's first packet only:
//!
//! ```text
//! services4  address . protocol . port ──▶ a chain that picks, or one that refuses
//! ports                protocol . port ──▶ the same, at whatever address of this host
//! pick-16-turn         … . numgen inc mod 16 ──▶ backends4 ──▶ address . port
//! ```

mod diff;
mod entry;
mod rules;
mod shape;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::nft::Element;
use crate::registry::{Name, Place, Registry};
pub use diff::{Diff, Forget, diff};
use entry::Entry;
pub use shape::{NAME, table};

/// What is in the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ruleset {
    entries: BTreeMap<Name, Arc<Entry>>,
    /// Addresses of backends, and of how many services.
    addresses: BTreeMap<(Place, IpAddr), usize>,
}

impl Ruleset {
    /// What a registry makes of it.
    pub fn of(registry: &Registry) -> Ruleset {
        let mut ruleset = Ruleset::default();
        for (name, service) in registry.services() {
            ruleset.replace(name, Some(Arc::new(Entry::of(service))));
        }
        ruleset
    }

    /// Whether there is no service.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Take in that one service has changed, and say what follows: the work is that service's, not
    /// that of all.
    pub fn renew(&mut self, registry: &Registry, name: &Name) -> Diff {
        let new = registry.service(name).map(|service| Arc::new(Entry::of(service)));
        let old = self.entries.get(name).cloned();
        let mut found = Diff::default();
        diff::entries(old.as_deref(), new.as_deref(), &mut found);
        let touched: Vec<_> = [&old, &new]
            .into_iter()
            .flatten()
            .flat_map(|entry| entry.addresses.iter().copied())
            .collect();
        let before = self.present(&touched);
        self.replace(name, new);
        diff::addresses(&before, &self.present(&touched), &mut found);
        found
    }

    /// All that is in the maps.
    pub fn elements(&self) -> impl Iterator<Item = Element> + '_ {
        let services = self.entries.values().flat_map(|entry| entry.elements());
        services.chain(self.addresses.keys().map(|(place, ip)| entry::address(*place, *ip)))
    }

    /// Those of these addresses that are in the table, once and in order.
    fn present(&self, addresses: &[(Place, IpAddr)]) -> Vec<(Place, IpAddr)> {
        let known = |key: &&(Place, IpAddr)| self.addresses.contains_key(key);
        let mut present: Vec<_> = addresses.iter().filter(known).copied().collect();
        present.sort_unstable();
        present.dedup();
        present
    }

    fn replace(&mut self, name: &Name, new: Option<Arc<Entry>>) {
        if let Some(new) = &new {
            for key in &new.addresses {
                *self.addresses.entry(*key).or_default() += 1;
            }
        }
        let old = match new {
            Some(new) => self.entries.insert(name.clone(), new),
            None => self.entries.remove(name),
        };
        for key in old.iter().flat_map(|old| &old.addresses) {
            if let Some(count) = self.addresses.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    self.addresses.remove(key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
