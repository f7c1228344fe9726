//! What operators said of the balancer beside manifests, kept over restarts and reboots.
//!
//! Invariant: it is put on top of what follows from apps, never instead: what an operator said of a
//! service stays until it is taken back, whatever is deployed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use loadbalancer::nft::Transport;
use loadbalancer::policy::Policy;
use loadbalancer::registry::{
    At, BackendId, Listen, Name, NewBackend, Percent, Place, State, Target, Unserved, Weight,
};
use manifest_spec::manifest::Protocol;
use serde::{Deserialize, Serialize};

use super::steer::{Wanted, WantedBackend};
use super::wanted;
use crate::lease::key::Key;

/// Everything that was said of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Its name.
    pub name: String,
    /// Who made it, if it is no app's.
    pub by: String,
    /// Where it is found then.
    pub places: Vec<SaidPlace>,
    /// Another policy.
    pub policy: Option<SaidPolicy>,
    /// What backends count for, by their names.
    pub weights: BTreeMap<String, u32>,
    /// Backends that get nothing new.
    pub drained: BTreeSet<String>,
    /// Backends that hostd runs nothing of.
    pub added: BTreeMap<String, SocketAddr>,
}

/// Where a service is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidPlace {
    /// The address; `None` for every one of the host.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// Whether it is one of UDP.
    pub datagram: bool,
}

/// A policy, and what it needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidPolicy {
    /// Its name.
    pub policy: String,
    /// For a canary, its version and share in percent.
    pub canary: Option<(String, u32)>,
}

impl Said {
    /// Nothing, of a service of this name.
    pub fn nothing(name: &str) -> Said {
        Said { name: name.to_owned(), ..Said::default() }
    }

    /// Whether nothing is said.
    pub fn is_nothing(&self) -> bool {
        *self == Said::nothing(&self.name)
    }

    /// What is leased for it.
    pub fn keys(&self) -> BTreeSet<Key> {
        self.places.iter().map(SaidPlace::key).collect()
    }

    /// Put it on top of what follows from an app.
    pub(super) fn apply(&self, wanted: &mut Wanted, healthy: &dyn Fn(&str) -> Option<bool>) {
        if let Some(policy) = &self.policy {
            wanted.policy = policy.read();
        }
        for (id, address) in &self.added {
            let state = match healthy(id) {
                Some(true) => State::Serving,
                Some(false) => State::Down,
                None => State::Registered,
            };
            let (Ok(id), Ok(target)) = (BackendId::new(id), Target::new(*address)) else {
                continue;
            };
            // Its answers must come back here wherever it is.
            let (place, weight) = (Place::Remote, Weight::USUAL);
            let given = NewBackend { target, place, weight, version: None };
            wanted.backends.insert(id, WantedBackend { given, state });
        }
        for (id, backend) in &mut wanted.backends {
            let id = id.as_str().strip_suffix(wanted::IPV6).unwrap_or(id.as_str());
            if let Some(weight) = self.weights.get(id).and_then(|one| Weight::new(*one).ok()) {
                backend.given.weight = weight;
            }
            if self.drained.contains(id) {
                backend.state = State::Draining;
            }
        }
    }

    /// The service that an operator made; `None` for what is said of an app's.
    pub(super) fn service(&self, healthy: &dyn Fn(&str) -> Option<bool>) -> Option<(Name, Wanted)> {
        let listens: Vec<Listen> = self.places.iter().filter_map(SaidPlace::listen).collect();
        let name = Name::new(&self.name).ok().filter(|_| !listens.is_empty())?;
        let mut wanted = Wanted {
            holder: self.by.clone(),
            listens,
            policy: Policy::RoundRobin,
            affinity: None,
            unserved: Unserved::Refuse,
            backends: BTreeMap::new(),
        };
        self.apply(&mut wanted, healthy);
        Some((name, wanted))
    }
}

impl SaidPlace {
    /// A place as it is written: `80`, `192.0.2.1:80`, `53/udp`.
    pub fn parse(text: &str) -> Option<SaidPlace> {
        let (place, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let datagram = match protocol {
            "tcp" => false,
            "udp" => true,
            _ => return None,
        };
        if let Ok(port) = place.parse::<NonZeroU16>() {
            return Some(SaidPlace { address: None, port: port.get(), datagram });
        }
        let place: SocketAddr = place.parse().ok().filter(|place: &SocketAddr| place.port() > 0)?;
        let address = Some(place.ip().to_canonical()).filter(|ip| !ip.is_unspecified());
        Some(SaidPlace { address, port: place.port(), datagram })
    }

    fn listen(&self) -> Option<Listen> {
        let at = self.address.map_or(At::Any, At::Address);
        let transport = if self.datagram { Transport::Udp } else { Transport::Tcp };
        Some(Listen { at, transport, port: NonZeroU16::new(self.port)? })
    }

    fn key(&self) -> Key {
        let protocol = if self.datagram { Protocol::Udp } else { Protocol::Tcp };
        match self.address {
            Some(address) => Key::Port { protocol, address, number: self.port },
            None => Key::port(protocol, self.port),
        }
    }
}

impl SaidPolicy {
    fn read(&self) -> Policy {
        let canary = self.canary.as_ref();
        let share = |(version, share): &(String, u32)| {
            let share = Percent::new(*share).ok()?;
            Some(Policy::Canary { version: version.clone(), share })
        };
        canary.and_then(share).unwrap_or_else(|| wanted::policy(&self.policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        let read = |text: &str| SaidPlace::parse(text).map(|place| place.key().to_string());
        assert_eq!(read("80").as_deref(), Some("port:80/tcp"));
        assert_eq!(read("53/udp").as_deref(), Some("port:53/udp"));
        assert_eq!(read("192.0.2.1:80").as_deref(), Some("port:192.0.2.1:80/tcp"));
        assert_eq!(read("[2001:db8::1]:53/udp").as_deref(), Some("port:[2001:db8::1]:53/udp"));
        assert_eq!(read("0.0.0.0:80").as_deref(), Some("port:80/tcp"));
        for wrong in ["", "0", "80/sctp", "host:80", "192.0.2.1", "192.0.2.1:0", "70000"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_said_is_put_on_top() {
        let mut said = Said::nothing("legacy");
        assert!(said.is_nothing());
        said.places.extend(SaidPlace::parse("80"));
        said.added.insert("a".to_owned(), "192.0.2.7:80".parse().unwrap());
        said.added.insert("b".to_owned(), "192.0.2.8:80".parse().unwrap());
        said.weights.insert("a".to_owned(), 7);
        said.drained.insert("b".to_owned());
        let canary = Some(("8".to_owned(), 10));
        said.policy = Some(SaidPolicy { policy: "canary".to_owned(), canary });
        let (_, wanted) = said.service(&|_| Some(true)).unwrap();
        let seen: Vec<_> =
            wanted.backends.values().map(|one| (one.given.weight.get(), one.state)).collect();
        assert_eq!(seen, [(7, State::Serving), (100, State::Draining)]);
        let share = Percent::new(10).unwrap();
        assert_eq!(wanted.policy, Policy::Canary { version: "8".to_owned(), share });
        let (_, unknown) = said.service(&|_| None).unwrap();
        assert_eq!(unknown.backends.values().next().unwrap().state, State::Registered);
    }
}
