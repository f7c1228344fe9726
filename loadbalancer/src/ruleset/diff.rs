//! What turns one table into another: elements that go, and elements that come.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::entry::{Entry, address};
use super::{NAME, Ruleset};
use crate::nft::{Batch, Element};
use crate::registry::{Listen, Place};

/// A change of the table. Elements are of the table's sets; those that go do so before others
/// come, so that one with the same key takes the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Elements that go.
    pub removed: Vec<Element>,
    /// Elements that come.
    pub added: Vec<Element>,
    /// Clients that stayed with a backend that gets no more connections. The kernel learnt them, so
    /// they are looked up in it once the change is done, and removed.
    pub forget: Vec<Forget>,
}

/// What is to be forgotten of who stays with whom: clients of a service at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forget {
    /// Where they found it.
    pub listen: Listen,
    /// The backend.
    pub backend: SocketAddr,
}

impl Diff {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty() && self.forget.is_empty()
    }

    /// The change as one batch: all of it, or nothing.
    pub fn batch(&self) -> Batch {
        Batch::default().remove(NAME, &self.removed).add(NAME, &self.added)
    }
}

/// The commands of nft(8) that do the same.
impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for element in &self.removed {
            writeln!(f, "delete element inet {NAME} {} {{ {element} }}", element.set)?;
        }
        for element in &self.added {
            writeln!(f, "add element inet {NAME} {} {{ {element} }}", element.set)?;
        }
        for Forget { listen, backend } in &self.forget {
            writeln!(f, "# forget who stays with {backend} at {listen}")?;
        }
        Ok(())
    }
}

/// What turns `old` into `new`.
pub fn diff(old: &Ruleset, new: &Ruleset) -> Diff {
    let mut found = Diff::default();
    for (name, before) in &old.entries {
        match new.entries.get(name) {
            Some(after) if Arc::ptr_eq(before, after) => {}
            after => entries(Some(before), after.map(Arc::as_ref), &mut found),
        }
    }
    for (name, after) in &new.entries {
        if !old.entries.contains_key(name) {
            entries(None, Some(after), &mut found);
        }
    }
    let keys = |ruleset: &Ruleset| ruleset.addresses.keys().copied().collect::<Vec<_>>();
    addresses(&keys(old), &keys(new), &mut found);
    found
}

/// The same of one service.
pub(super) fn entries(old: Option<&Entry>, new: Option<&Entry>, found: &mut Diff) {
    if old == new {
        return;
    }
    let mut before = keyed(old);
    if before.is_empty() {
        // Loading all is the longest of all changes.
        found.added.extend(new.iter().flat_map(|entry| entry.elements()));
        return;
    }
    let mut added = Vec::new();
    for element in new.iter().flat_map(|entry| entry.elements()) {
        let key = (element.set.clone(), element.key.clone());
        match before.get(&key) {
            Some(there) if there.data == element.data => _ = before.remove(&key),
            _ => added.push(element),
        }
    }
    found.removed.extend(before.into_values());
    found.added.extend(added);
    found.forget.extend(forgotten(old, new));
}

/// The same of addresses, both in order.
pub(super) fn addresses(old: &[(Place, IpAddr)], new: &[(Place, IpAddr)], found: &mut Diff) {
    let gone = old.iter().filter(|key| new.binary_search(key).is_err());
    found.removed.extend(gone.map(|(place, ip)| address(*place, *ip)));
    let come = new.iter().filter(|key| old.binary_search(key).is_err());
    found.added.extend(come.map(|(place, ip)| address(*place, *ip)));
}

type Key = (std::borrow::Cow<'static, str>, Vec<crate::nft::Value>);

fn keyed(entry: Option<&Entry>) -> BTreeMap<Key, Element> {
    let elements = entry.into_iter().flat_map(|entry| entry.elements());
    elements.map(|element| ((element.set.clone(), element.key.clone()), element)).collect()
}

fn forgotten(old: Option<&Entry>, new: Option<&Entry>) -> Vec<Forget> {
    let Some(old) = old.filter(|old| old.affinity.is_some()) else { return Vec::new() };
    let kept = |listen: &Listen| match new {
        Some(new) if new.affinity.is_some() && new.listens.contains(listen) => new.targets4(),
        _ => Default::default(),
    };
    let of_listen = |listen: &Listen| {
        let (listen, kept) = (*listen, kept(listen));
        let gone: Vec<_> = old.targets4().difference(&kept).copied().collect();
        gone.into_iter().map(move |backend| Forget { listen, backend })
    };
    old.listens.iter().flat_map(of_listen).collect()
}
