//! What is in the table, as the kernel tells it.

use std::collections::BTreeMap;

use super::{Kernel, WriteError};
use crate::nft::{self, Datum, Element, Set, Table, Value};
use crate::registry::At;
use crate::ruleset::{Diff, Forget, NAME, Ruleset};

/// Elements by their set and key.
pub(super) struct Contents(BTreeMap<(String, Vec<Value>), Element>);

impl Contents {
    /// Read every set that packets do not fill.
    pub(super) fn read(kernel: &mut impl Kernel, shape: &Table) -> Result<Contents, WriteError> {
        let mut found = BTreeMap::new();
        for set in shape.sets.iter().filter(|set| set.learnt.is_none()) {
            for element in elements(kernel, set)? {
                found.insert((set.name.clone(), element.key.clone()), element);
            }
        }
        Ok(Contents(found))
    }

    /// What turns this into what a ruleset says.
    pub(super) fn diff(mut self, ruleset: &Ruleset) -> Diff {
        let mut diff = Diff::default();
        for element in ruleset.elements() {
            let key = (element.set.to_string(), element.key.clone());
            match self.0.get(&key) {
                Some(there) if there.data == element.data => _ = self.0.remove(&key),
                _ => diff.added.push(element),
            }
        }
        diff.removed.extend(self.0.into_values());
        diff
    }
}

/// Those who stay with a backend that they should be forgotten to have.
pub(super) fn affinities(
    kernel: &mut impl Kernel,
    shape: &Table,
    forget: &[Forget],
) -> Result<Vec<Element>, WriteError> {
    let mut found = Vec::new();
    for set in shape.sets.iter().filter(|set| set.learnt.is_some()) {
        let meant = |element: &Element| forget.iter().any(|forget| is_of(element, forget));
        found.extend(elements(kernel, set)?.into_iter().filter(meant));
    }
    Ok(found)
}

/// Whether a client found a service there, and stays with that backend.
fn is_of(element: &Element, forget: &Forget) -> bool {
    let Forget { listen, backend } = forget;
    let Datum::Data(data) = &element.data else { return false };
    let [_, address, protocol, port] = element.key[..] else { return false };
    let there = match listen.at {
        At::Any => true,
        At::Address(at) => address == Value::Address(at),
    };
    there
        && protocol == Value::Protocol(listen.transport)
        && port == Value::Port(listen.port.get())
        && data[..] == [Value::Address(backend.ip()), Value::Port(backend.port())]
}

fn elements(kernel: &mut impl Kernel, set: &Set) -> Result<Vec<Element>, WriteError> {
    let mut found = Vec::new();
    let request = nft::elements_request(NAME, &set.name);
    let asked = kernel.ask(&request, &mut |body| found.extend(nft::elements(set, body)));
    match asked {
        Ok(()) => Ok(found),
        Err(answer) => Err(WriteError::Unread(format!("what is in {}", set.name), answer)),
    }
}
