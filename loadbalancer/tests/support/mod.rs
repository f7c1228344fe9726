//! Registries as text, and the kernel in network namespaces of a test's own.

#![allow(dead_code)] // each test uses a part

pub mod kernel;
pub mod net;

use std::collections::BTreeMap;

use loadbalancer::nft::Transport;
use loadbalancer::policy::Policy;
use loadbalancer::registry::{
    Affinity, At, BackendId, Change, Event, Listen, Name, NewBackend, Percent, Place, Registry,
    Target, Unserved, Weight,
};
use serde::Deserialize;

/// A registry, and what it becomes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    #[serde(default)]
    pub services: BTreeMap<String, ServiceText>,
    /// Another registry: the golden has the difference too.
    pub then: Option<Box<Case>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceText {
    /// `tcp 8080` or `tcp 10.0.0.1 80`.
    pub listen: Vec<String>,
    /// A policy's name; `source-hash port`; `canary VERSION PERCENT`.
    pub policy: String,
    pub affinity: Option<u32>,
    #[serde(default)]
    pub ignore: bool,
    #[serde(default)]
    pub backends: BTreeMap<String, BackendText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendText {
    pub target: String,
    #[serde(default)]
    pub remote: bool,
    pub weight: Option<u32>,
    pub version: Option<String>,
    #[serde(default)]
    pub connections: u64,
    /// What happened to it; without anything it serves.
    pub events: Option<Vec<String>>,
}

pub fn registry(case: &Case) -> Registry {
    let mut registry = Registry::default();
    for change in case.services.iter().flat_map(|(name, service)| changes(name, service)) {
        registry.apply(change).unwrap();
    }
    registry
}

fn changes(name: &str, service: &ServiceText) -> Vec<Change> {
    let name = Name::new(name).unwrap();
    let mut changes = vec![Change::Register {
        name: name.clone(),
        holder: "a test".to_owned(),
        listens: service.listen.iter().map(|text| listen(text)).collect(),
        policy: policy(&service.policy),
        affinity: service.affinity.map(|seconds| Affinity::lasting(seconds).unwrap()),
        unserved: if service.ignore { Unserved::Ignore } else { Unserved::Refuse },
    }];
    for (id, backend) in &service.backends {
        let id = BackendId::new(id).unwrap();
        let given = NewBackend {
            target: Target::new(backend.target.parse().unwrap()).unwrap(),
            place: if backend.remote { Place::Remote } else { Place::Local },
            weight: backend.weight.map_or(Weight::USUAL, |weight| Weight::new(weight).unwrap()),
            version: backend.version.clone(),
        };
        changes.push(Change::Add(name.clone(), id.clone(), given));
        let events = match &backend.events {
            None => vec![Event::Passed, Event::Shift],
            Some(events) => events.iter().map(|text| event(text)).collect(),
        };
        let report = |event| Change::Report(name.clone(), id.clone(), event);
        changes.extend(events.into_iter().map(report));
        changes.push(Change::Measure(name.clone(), vec![(id, backend.connections)]));
    }
    changes
}

pub fn listen(text: &str) -> Listen {
    let words: Vec<_> = text.split(' ').collect();
    let transport = match words[0] {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        other => panic!("{other} is no transport protocol"),
    };
    let at = match words[..] {
        [_, address, _] => At::Address(address.parse().unwrap()),
        _ => At::Any,
    };
    Listen { at, transport, port: words[words.len() - 1].parse().unwrap() }
}

pub fn policy(text: &str) -> Policy {
    let words: Vec<_> = text.split(' ').collect();
    match words[..] {
        ["round-robin"] => Policy::RoundRobin,
        ["weighted"] => Policy::Weighted,
        ["random"] => Policy::Random,
        ["source-hash"] => Policy::SourceHash { port: false },
        ["source-hash", "port"] => Policy::SourceHash { port: true },
        ["least-connections"] => Policy::LeastConnections,
        ["p2c"] => Policy::P2c,
        ["canary", version, share] => Policy::Canary {
            version: version.to_owned(),
            share: Percent::new(share.parse().unwrap()).unwrap(),
        },
        _ => panic!("{text} is no policy"),
    }
}

fn event(text: &str) -> Event {
    match text {
        "passed" => Event::Passed,
        "failed" => Event::Failed,
        "shift" => Event::Shift,
        "drain" => Event::Drain,
        "gone" => Event::Gone,
        other => panic!("{other} is no event"),
    }
}
