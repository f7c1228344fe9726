//! Grants: no path twice, no contradiction between them.

use crate::decode::{At, Field, Findings};
use crate::error::quoted;
use crate::manifest::{Access, Address, Network, ReadGrant, WriteGrant};
use crate::raw::paths::normal;
use crate::raw::{RawAccess, RawWrite};

pub(super) fn access(raw: &RawAccess, findings: &mut Findings<'_>) -> Access {
    check_distinct_paths(raw, findings);
    check_distinct(raw.interfaces.value(), |interface| interface.0.clone(), findings);
    check_distinct(raw.capabilities.value(), |capability| capability.0.clone(), findings);
    check_distinct(raw.syscalls.value(), |call| call.0.clone(), findings);
    check_distinct(raw.connect.value(), |to| format!("{:?}", to.0), findings);
    check_network(raw, findings);
    Access {
        base: raw.base.value().copied(),
        read: raw
            .read
            .value()
            .map(|paths| paths.iter().map(|at| ReadGrant { path: at.value.0.clone() }).collect()),
        write: raw
            .write
            .value()
            .map(|grants| grants.iter().filter_map(|at| write_grant(at, findings)).collect()),
        network: raw.network.value().copied(),
        interfaces: raw.interfaces.value().map(|all| texts(all, |one| one.0.clone())),
        connect: raw.connect.value().map(|all| texts(all, |one| one.0.clone())),
        address: raw.address.value().copied(),
        capabilities: raw.capabilities.value().map(|all| texts(all, |one| one.0.clone())),
        syscalls: raw.syscalls.value().map(|all| texts(all, |one| one.0.clone())),
        user: raw.user.value().copied(),
    }
}

fn texts<T, U>(all: &[At<T>], inner: impl Fn(&T) -> U) -> Vec<U> {
    all.iter().map(|at| inner(&at.value)).collect()
}

fn write_grant(at: &At<RawWrite>, findings: &mut Findings<'_>) -> Option<WriteGrant> {
    match &at.value.path {
        Field::Given(path) => Some(WriteGrant {
            path: path.value.path.clone(),
            managed: path.value.managed,
            exec: at.value.exec.value().copied().unwrap_or(false),
        }),
        Field::Absent => {
            super::missing(at, "path", "path = \"data:/srv/shop\"", findings);
            None
        }
        Field::Invalid => None,
    }
}

/// A path is granted once: for reading, or for writing, which includes reading.
fn check_distinct_paths(raw: &RawAccess, findings: &mut Findings<'_>) {
    let read = raw.read.value().into_iter().flatten();
    let read = read.map(|at| (normal(&at.value.0), false, &at.place, &at.key));
    let write = raw.write.value().into_iter().flatten().filter_map(|at| {
        let path = at.value.path.get()?;
        Some((normal(&path.value.path), true, &path.place, &path.key))
    });
    let mut seen: std::collections::HashMap<String, (bool, String)> = Default::default();
    for (path, is_write, place, key) in read.chain(write) {
        match seen.get(&path) {
            None => {
                seen.insert(path, (is_write, place.origin.to_string()));
            }
            Some((was_write, first)) if *was_write == is_write => {
                let message = format!("{} is already granted at {first}", quoted(&path));
                findings.add(place, key.clone(), message).hint("drop one of them");
            }
            Some((_, first)) => {
                let message = format!("{} is granted for reading too, at {first}", quoted(&path));
                findings
                    .add(place, key.clone(), message)
                    .hint("drop the read grant: a write grant can be read");
            }
        }
    }
}

fn check_distinct<T>(
    list: Option<&Vec<At<T>>>,
    identity: impl Fn(&T) -> String,
    findings: &mut Findings<'_>,
) {
    let mut seen = std::collections::HashSet::new();
    for at in list.into_iter().flatten() {
        if !seen.insert(identity(&at.value)) {
            findings
                .add(&at.place, at.key.clone(), "the list already has this item")
                .hint("drop one of them");
        }
    }
}

fn check_network(raw: &RawAccess, findings: &mut Findings<'_>) {
    if let (Some(at), Some(Network::None | Network::Private)) =
        (raw.address.get(), raw.network.value())
        && at.value == Address::Own
    {
        let message = "an address of its own is one on the host's network";
        findings.add(&at.place, at.key.clone(), message).hint("drop address, or network");
    }
    let Some(Network::None) = raw.network.value() else { return };
    let connect = raw.connect.get().filter(|at| !at.value.is_empty());
    let interfaces = raw.interfaces.get().filter(|at| !at.value.is_empty());
    let granted = connect.map(|at| (&at.place, &at.key));
    for (place, key) in granted.into_iter().chain(interfaces.map(|at| (&at.place, &at.key))) {
        findings
            .add(place, key.clone(), "nothing can be reached with network = \"none\"")
            .hint("drop network, or write network = \"host\"");
    }
}
