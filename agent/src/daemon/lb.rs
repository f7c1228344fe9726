//! What operators see of the balancer, and change.
//!
//! Invariant: a change is in the audit log, and then on disk, before it is in force. Backends and
//! services that hostd runs nothing of are for root alone: they lead clients of this host elsewhere.

use std::net::SocketAddr;

use loadbalancer::nft::Transport;
use loadbalancer::policy::{Candidate, Policy};
use loadbalancer::registry::{
    At, Backend, BackendId, Listen, Name, Service, State, Target, Unserved, Weight,
};
use manifest_spec::api::{
    Changed, ErrorBody, EventKind, LbAddRequest, LbBackend, LbDrainRequest, LbList, LbPlace,
    LbPolicyRequest, LbRemoveRequest, LbService, LbState, LbWeightRequest,
};
use manifest_spec::names::PolicyName;
use manifest_spec::policy::Verb;

use super::balance::said::{Said, SaidPlace, SaidPolicy};
use super::chronicle::About;
use super::peer::Peer;
use super::refusal;
use super::world::World;

impl World {
    /// Services that a peer may see: all, or one and the further ports of it.
    pub(super) fn lb(&mut self, name: Option<&str>, peer: &Peer) -> Result<LbList, ErrorBody> {
        self.count_anew();
        let mut services = Vec::new();
        let of_name = |found: &str| {
            name.is_none_or(|name| {
                found == name || found.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
            })
        };
        for (found, service) in self.balance.services() {
            if of_name(found.as_str()) && self.may(peer, app_of(found.as_str()), Verb::Look)? {
                services.push(self.lb_service(found, service));
            }
        }
        match (name, services.is_empty()) {
            (Some(name), true) => Err(self.no_service(name)),
            _ => Ok(LbList { services }),
        }
    }

    fn lb_service(&self, name: &Name, service: &Service) -> LbService {
        let policy = self.policy_name(name, service);
        let canary = match service.policy() {
            Policy::Canary { version, share } => Some((version.clone(), u32::from(share.get()))),
            _ => None,
        };
        let said = self.balance.said(name.as_str());
        let backends = service.backends().map(|(id, backend)| LbBackend {
            id: id.to_string(),
            address: backend.given().target.get().to_string(),
            state: standing(backend.state()),
            weight: backend.given().weight.get().into(),
            share: share(service, id, backend),
            connections: self.balance.count_of(service, backend),
            version: backend.given().version.clone(),
            added: said.is_some_and(|said| said.added.contains_key(id.as_str())),
        });
        LbService {
            name: name.to_string(),
            holder: service.holder().to_owned(),
            found_at: service.listens().iter().map(place).collect(),
            policy,
            canary_version: canary.as_ref().map(|(version, _)| version.clone()),
            canary_share: canary.map(|(_, share)| share),
            affinity_seconds: service.affinity().map(|affinity| affinity.seconds()),
            waits: service.unserved() == Unserved::Ignore,
            backends: backends.collect(),
        }
    }

    /// Add a backend; a name that nobody has becomes a service if it is told where it is found.
    pub(super) fn lb_add(
        &mut self,
        request: &LbAddRequest,
        peer: &Peer,
    ) -> Result<Changed, ErrorBody> {
        self.must_balance()?;
        Name::new(&request.name).map_err(|error| refusal::bad_request(&error.to_string()))?;
        let address: SocketAddr = request.address.parse().map_err(|_| {
            refusal::bad_request("a backend is an address and a port, such as 192.0.2.7:8080")
        })?;
        Target::new(address).map_err(|error| refusal::bad_request(&error.to_string()))?;
        let places = self.places(&request.listen)?;
        let mut said = self.said_of(&request.name);
        let known = self.balance.service(&request.name).is_some();
        match (known, places.is_empty()) {
            (false, true) => {
                let hint = format!("hostctl lb add {} {address} --listen 80", request.name);
                let message = format!("there is no service {}", request.name);
                return Err(refusal::missing(message, &hint));
            }
            (true, false) if said.places != places => {
                let message = format!("{} is found elsewhere already", request.name);
                return Err(refusal::conflict(message, "leave out --listen"));
            }
            (true, _) => {}
            (false, false) => (said.places, said.by) = (places, peer.name()),
        }
        if let Some(weight) = request.weight {
            weigh(&mut said, &request.address, weight)?;
        }
        said.added.insert(request.address.clone(), address);
        self.balance.claim(&self.directories, self.clock, &said).map_err(|error| {
            refusal::of(&crate::failure::Error::Run(crate::run::RunError::Lease(error), None))
        })?;
        self.say(said, peer, "lb-add", &format!("{} added", request.address))
    }

    /// Remove a backend that was added, or a service that was made by adding one.
    pub(super) fn lb_remove(
        &mut self,
        request: &LbRemoveRequest,
        peer: &Peer,
    ) -> Result<Changed, ErrorBody> {
        let mut said = self.said_of(&request.name);
        let Some(backend) = &request.backend else {
            if said.places.is_empty() {
                let message = format!("{} is no service that was added", request.name);
                return Err(refusal::conflict(message, "remove its app: `hostctl remove`"));
            }
            let gone: Vec<SocketAddr> = said.added.values().copied().collect();
            let changed = self.say(Said::nothing(&request.name), peer, "lb-remove", "removed")?;
            self.cut_off(&gone);
            return Ok(changed);
        };
        let Some(gone) = said.added.remove(backend) else {
            let known: Vec<String> = said.added.keys().cloned().collect();
            return Err(refusal::no_backend(&request.name, backend, &known));
        };
        said.weights.remove(backend);
        said.drained.remove(backend);
        let changed = self.say(said, peer, "lb-remove", &format!("{backend} removed"))?;
        self.cut_off(&[gone]);
        Ok(changed)
    }

    /// Say what a backend counts for.
    pub(super) fn lb_weight(
        &mut self,
        request: &LbWeightRequest,
        peer: &Peer,
    ) -> Result<Changed, ErrorBody> {
        self.known_backend(&request.name, &request.backend)?;
        let mut said = self.said_of(&request.name);
        weigh(&mut said, &request.backend, request.weight)?;
        let what = format!("{} weighs {}", request.backend, request.weight);
        self.say(said, peer, "lb-weight", &what)
    }

    /// Send a backend nothing new, or again.
    pub(super) fn lb_drain(
        &mut self,
        request: &LbDrainRequest,
        peer: &Peer,
    ) -> Result<Changed, ErrorBody> {
        let mut said = self.said_of(&request.name);
        if !said.drained.contains(&request.backend) {
            self.known_backend(&request.name, &request.backend)?;
        }
        let what = match request.back {
            true => {
                said.drained.remove(&request.backend);
                format!("{} gets new connections again", request.backend)
            }
            false => {
                said.drained.insert(request.backend.clone());
                format!("{} gets no new connections", request.backend)
            }
        };
        self.say(said, peer, "lb-drain", &what)
    }

    /// Choose another policy.
    pub(super) fn lb_policy(
        &mut self,
        request: &LbPolicyRequest,
        peer: &Peer,
    ) -> Result<Changed, ErrorBody> {
        if self.balance.service(&request.name).is_none() {
            return Err(self.no_service(&request.name));
        }
        let mut said = self.said_of(&request.name);
        said.policy = match &request.policy {
            None => None,
            Some(policy) => Some(read_policy(policy, request)?),
        };
        let what = match &said.policy {
            None => "the manifest's policy".to_owned(),
            Some(SaidPolicy { canary: Some((version, share)), .. }) => {
                format!("version {version} gets {share} % of new connections")
            }
            Some(policy) => format!("policy {}", policy.policy),
        };
        self.say(said, peer, "lb-policy", &what)
    }

    fn said_of(&self, name: &str) -> Said {
        self.balance.said(name).cloned().unwrap_or_else(|| Said::nothing(name))
    }

    fn places(&self, listen: &[String]) -> Result<Vec<SaidPlace>, ErrorBody> {
        let read = |text: &String| {
            SaidPlace::parse(text).ok_or_else(|| {
                let message = format!("{text:?} is no place: write 80, 192.0.2.1:80 or 53/udp");
                refusal::bad_request(&message)
            })
        };
        listen.iter().map(read).collect()
    }

    /// Keep what an operator said, and do it.
    fn say(
        &mut self,
        said: Said,
        peer: &Peer,
        action: &str,
        what: &str,
    ) -> Result<Changed, ErrorBody> {
        let name = said.name.clone();
        let unchanged = self.said_of(&name) == said;
        let seq = self.chronicle.next();
        let changed = Changed { app: name.clone(), unchanged, seq, warnings: Vec::new() };
        if unchanged {
            return Ok(changed);
        }
        self.record(peer, action, &name, what)?;
        let kept = match said.is_nothing() {
            true => self.store.unsay(&name),
            false => self.store.say(&said),
        };
        kept.map_err(|error| refusal::state(&error))?;
        self.balance.keep_said(said);
        let app = app_of(&name);
        let about = match self.apps.get(app) {
            Some(known) => About::app(app, known.record.target),
            None => About::default(),
        };
        self.chronicle.add(about, EventKind::Progress, format!("{name}: {what}"));
        self.serve();
        Ok(changed)
    }

    fn must_balance(&self) -> Result<(), ErrorBody> {
        match self.balance.why_not() {
            None => Ok(()),
            Some(why) => Err(refusal::unread(&format!("nothing can be balanced here: {why}"))),
        }
    }

    fn known_backend(&self, name: &str, backend: &str) -> Result<(), ErrorBody> {
        let Some(service) = self.balance.service(name) else { return Err(self.no_service(name)) };
        let known: Vec<String> = service.backends().map(|(id, _)| id.to_string()).collect();
        match known.iter().any(|id| id == backend) {
            true => Ok(()),
            false => Err(refusal::no_backend(name, backend, &known)),
        }
    }

    fn no_service(&self, name: &str) -> ErrorBody {
        let names: Vec<&str> = self.balance.services().map(|(name, _)| name.as_str()).collect();
        let hint = match (self.balance.why_not(), names.is_empty()) {
            (Some(why), _) => format!("nothing can be balanced here: {why}"),
            (None, true) => "there is none; deploy an app with a port".to_owned(),
            (None, false) => format!("the services are {}", names.join(", ")),
        };
        refusal::missing(format!("there is no service {name}"), &hint)
    }

    /// The policy of a service as it was asked for.
    fn policy_name(&self, name: &Name, service: &Service) -> String {
        let said = self.balance.said(name.as_str()).and_then(|said| said.policy.as_ref());
        let asked = said.map(|said| said.policy.clone());
        asked
            .or_else(|| self.manifest_policy(name))
            .unwrap_or_else(|| word(service.policy()).into())
    }

    /// The policy that the manifest asks for.
    fn manifest_policy(&self, name: &Name) -> Option<String> {
        let served = self.served();
        let of = |one: &&super::balance::Served<'_>| {
            one.service.ports.iter().any(|port| one.name(port).as_ref() == Some(name))
        };
        let found = served.iter().find(of)?;
        found.service.balanced.as_ref().map(|balanced| balanced.policy.clone())
    }
}

/// The app whose name a service's begins with.
pub(super) fn app_of(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

fn weigh(said: &mut Said, backend: &str, weight: u32) -> Result<(), ErrorBody> {
    let weight = Weight::new(weight).map_err(|error| refusal::bad_request(&error.to_string()))?;
    match weight == Weight::USUAL {
        true => said.weights.remove(backend),
        false => said.weights.insert(backend.to_owned(), weight.get().into()),
    };
    Ok(())
}

fn read_policy(policy: &str, request: &LbPolicyRequest) -> Result<SaidPolicy, ErrorBody> {
    if !PolicyName::BUILT_IN.contains(&policy) {
        let message = format!("there is no policy {policy:?}");
        let names = PolicyName::BUILT_IN.join(", ");
        return Err(refusal::missing(message, &format!("the policies are {names}")));
    }
    let canary = match (policy, &request.version, request.share) {
        ("canary", Some(version), Some(share @ 1..=99)) => Some((version.clone(), share)),
        ("canary", ..) => {
            let message = "a canary needs a version and a share of 1 to 99 percent, as in --version 7 --share 10%";
            return Err(refusal::bad_request(message));
        }
        (_, None, None) => None,
        _ => {
            return Err(refusal::bad_request("only a canary has a version and a share"));
        }
    };
    Ok(SaidPolicy { policy: policy.to_owned(), canary })
}

fn place(listen: &Listen) -> LbPlace {
    LbPlace {
        address: match listen.at {
            At::Any => None,
            At::Address(address) => Some(address.to_string()),
        },
        port: listen.port.get(),
        protocol: protocol(listen.transport).to_owned(),
    }
}

pub(super) fn protocol(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}

fn standing(state: State) -> LbState {
    match state {
        State::Serving => LbState::Serving,
        State::Registered | State::Healthy => LbState::Registered,
        State::Draining => LbState::Draining,
        State::Down | State::Retired => LbState::Down,
    }
}

/// The share of new connections of its protocol that a backend gets, in percent.
fn share(service: &Service, id: &BackendId, backend: &Backend) -> f64 {
    let family = |one: &Backend| one.given().target.get().is_ipv4();
    let beside: Vec<_> =
        service.serving().filter(|(_, one)| family(one) == family(backend)).collect();
    let candidates: Vec<Candidate<'_>> = beside
        .iter()
        .map(|(id, one)| Candidate {
            id,
            weight: one.given().weight,
            version: one.given().version.as_deref(),
            connections: one.connections(),
        })
        .collect();
    let shares = service.policy().shares(&candidates);
    let total: u128 = shares.iter().sum();
    let own = beside.iter().zip(&shares).find(|((known, _), _)| *known == id);
    match own {
        Some((_, own)) if total > 0 => (*own as f64 * 1000.0 / total as f64).round() / 10.0,
        _ => 0.0,
    }
}

fn word(policy: &Policy) -> &'static str {
    match policy {
        Policy::RoundRobin => "round-robin",
        Policy::Weighted => "weighted",
        Policy::Random => "random",
        Policy::SourceHash { .. } => "source-hash",
        Policy::LeastConnections => "least-connections",
        Policy::P2c => "p2c",
        Policy::Canary { .. } => "canary",
        Policy::Given(_) => "a plugin's",
    }
}
