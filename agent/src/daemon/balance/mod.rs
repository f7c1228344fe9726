//! The balancer, as far as it is about apps: who is found where, and who serves them.
//!
//! Owns the registry and the table for as long as hostd runs. Invariant: both follow from what is
//! kept and what runs, worked out anew after each event; so a hostd that is killed leaves a table
//! that the next one finds right. An instance counts as ready only when the kernel sends clients to
//! it, and is asked to end only when it sends no more. Never starts or ends an instance.
//!
//! | module | owns |
//! | --- | --- |
//! | [`wanted`] | what should be balanced |
//! | [`steer`] | the changes that make it so |
//! | [`places`] | where services are found: leases |
//! | [`flows`] | connections: counted, forgotten |
//! | [`said`], [`checks`] | what operators added; whether it answers |
//! | [`plugins`] | policies that are programs |
//! | [`metrics`] | all of it in numbers |

pub(super) mod checks;
mod flows;
mod metrics;
mod places;
mod plugins;
pub(super) mod said;
mod steer;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use loadbalancer::nft::Transport;
use loadbalancer::registry::{Backend, Name as ServiceName, Place, Registry, Service as LbService};
use manifest_spec::api::{ErrorBody, EventKind};

use super::chronicle::{About, Chronicle};
use super::event::Mark;
use super::live::Live;
use super::probe::Way;
use super::refusal;
use super::services::{Service, ServicePort};
use super::world::World;
use crate::balance::Table;
use crate::failure::Error;
use crate::fleet::Takeover;
use crate::keep::assignment::Name;
use crate::lease::{LeaseError, probe};
use crate::network::pool::Pool;
use crate::network::private::{PrivateError, Routes};
use crate::plan::Directories;
use crate::run::RunError;
use crate::source;
use crate::supervise::instance::{Happening, State};
use manifest_spec::manifest::Protocol;

use checks::{Checks, Which};
use flows::Meter;
use places::{Places, Surroundings};
use plugins::Asked;
use said::Said;
use steer::steer;
pub(super) use wanted::Served;

/// When what the kernel or the ledger refused is tried again, and when a table is looked at that
/// somebody else may change.
const AGAIN: Duration = Duration::from_secs(1);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Balance {
    /// The table, or why there can be none.
    table: Result<Table, String>,
    registry: Registry,
    places: Places,
    meter: Meter,
    said: BTreeMap<String, Said>,
    checks: Checks,
    asked: Option<Asked>,
    /// Where a backend is elsewhere.
    routes: Option<Routes>,
    /// What is wrong, as it was told last.
    told: BTreeSet<String>,
    next: Option<Instant>,
}

impl Balance {
    /// One that balances nothing.
    pub(super) fn none(why: &str) -> Balance {
        Balance {
            table: Err(why.to_owned()),
            registry: Registry::default(),
            places: Places::default(),
            meter: Meter::default(),
            said: BTreeMap::new(),
            checks: Checks::default(),
            asked: None,
            routes: None,
            told: BTreeSet::new(),
            next: None,
        }
    }

    /// Why nothing can be balanced here, if nothing can.
    pub(super) fn why_not(&self) -> Option<&str> {
        self.table.as_ref().err().map(String::as_str)
    }

    /// When something is to be done by time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next.into_iter().chain(self.meter.deadline()).min()
    }

    /// Tell what is wrong, if that was not told yet.
    fn tell_once(&mut self, chronicle: &mut Chronicle, text: String) {
        if self.told.insert(text.clone()) {
            chronicle.add(About::default(), EventKind::Warning, text);
        }
    }

    /// Every service, by name.
    pub(super) fn services(&self) -> impl Iterator<Item = (&ServiceName, &LbService)> {
        self.registry.services()
    }

    /// One of them.
    pub(super) fn service(&self, name: &str) -> Option<&LbService> {
        self.registry.service(&ServiceName::new(name).ok()?)
    }

    /// What operators said of one.
    pub(super) fn said(&self, name: &str) -> Option<&Said> {
        self.said.get(name)
    }

    /// What an operator said counts from now on.
    pub(super) fn keep_said(&mut self, said: Said) {
        match said.is_nothing() {
            true => self.said.remove(&said.name),
            false => self.said.insert(said.name.clone(), said),
        };
    }

    /// Lease the places of a service that an operator makes.
    pub(super) fn claim(
        &mut self,
        directories: &Directories,
        clock: fn() -> Duration,
        said: &Said,
    ) -> Result<(), LeaseError> {
        let policy = source::policy(&directories.policy()).unwrap_or_default();
        let around = Surroundings { directories, range: policy.ports, clock };
        self.places.lease(&(said.name.clone(), String::new()), &said.keys(), around)
    }

    /// How many connections a backend had when they were counted last.
    pub(super) fn count_of(&self, service: &LbService, backend: &Backend) -> Option<u64> {
        let transport = service.listens().first()?.transport;
        self.meter.count_of(transport, backend.given().target.get())
    }

    /// Have the host forward while a backend is elsewhere.
    fn keep_routes(&mut self, directories: &Directories) -> Result<(), PrivateError> {
        let backends = self.registry.services().flat_map(|(_, service)| service.backends());
        let mut places = backends.map(|(_, backend)| backend.given().place);
        if !places.any(|place| place == Place::Remote) {
            self.routes = None;
            return Ok(());
        }
        if self.routes.is_none() {
            self.routes = Some(Routes::open(directories)?);
        }
        self.routes.as_mut().map_or(Ok(()), Routes::refresh)
    }

    fn is_in_force(&self) -> bool {
        self.table.as_ref().is_ok_and(Table::is_in_force)
    }
}

impl World {
    /// Take over what an earlier hostd balanced, or be ready to balance.
    pub(super) fn begin_to_balance(&mut self) {
        match self.store.said() {
            Ok(all) => {
                self.balance.said = all.into_iter().map(|one| (one.name.clone(), one)).collect();
            }
            Err(error) => {
                let text = format!("what was said of the balancer: {error}");
                self.chronicle.add(About::default(), EventKind::Warning, text);
            }
        }
        self.balance.asked = Some(Asked::nobody(&self.directories, &self.sender));
        self.remember_answers();
        let mut registry = Registry::default();
        let (refused, _) = self.keep_places();
        // What was added is taken to answer, as when its last hostd left it.
        let wanted = self.wanted(&self.served(), &refused);
        self.check_added(&wanted, Some(true));
        let wanted = self.wanted(&self.served(), &refused);
        let _ = steer(&mut registry, &wanted);
        self.balance.table = Table::take(&registry).map_err(|why| why.to_string());
        self.balance.registry = registry;
        if let Some(why) = self.balance.why_not()
            && !wanted.is_empty()
        {
            let text = format!("nothing stands before the ports of services: {why}");
            self.chronicle.add(About::default(), EventKind::Warning, text);
        }
    }

    /// Why nothing is balanced, if that is so.
    pub fn unbalanced(&self) -> Option<&str> {
        self.balance.why_not()
    }

    /// See whether another hostd of this network balances by now, before something new is promised.
    pub(super) fn look_at_table(&mut self) {
        if self.balance.table.as_mut().is_ok_and(Table::is_taken) {
            let registry = &self.balance.registry;
            self.balance.table = Table::take(registry).map_err(|why| why.to_string());
        }
    }

    /// Make the table what follows from how things stand.
    pub(super) fn serve(&mut self) {
        if self.balance.table.is_err() {
            return;
        }
        let (refused, mut wrong) = self.keep_places();
        let served = self.served();
        let watches = served.iter().flat_map(|one| &one.service.ports).any(follows_interface);
        let wanted = self.wanted(&served, &refused);
        self.check_added(&wanted, None);
        let lines = flows::lines(&self.balance.registry);
        let steered = steer(&mut self.balance.registry, &wanted);
        wrong.extend(steered.refused.iter().map(ToString::to_string));
        let Balance { table, registry, .. } = &mut self.balance;
        if let (Ok(table), false) = (table, steered.touched.is_empty())
            && let Err(error) = table.put(registry, &steered.touched)
        {
            wrong.insert(error.to_string());
        }
        let (gone, came) = flows::stale(&lines, &self.balance.registry);
        if !(gone.is_empty() && came.is_empty())
            && let Err(why) = self.balance.meter.forget(&gone, &came)
        {
            wrong.insert(format!("flows of UDP: {why}"));
        }
        if let Err(error) = self.balance.keep_routes(&self.directories) {
            wrong.insert(error.to_string());
        }
        let table = self.balance.table.as_ref().ok();
        let again = !refused.is_empty()
            || watches
            || self.balance.routes.is_some()
            || table.is_some_and(|table| table.is_open() || !table.is_in_force());
        let now = Instant::now();
        let next = self.balance.next.filter(|next| *next > now);
        self.balance.next = again.then(|| next.unwrap_or(now + AGAIN));
        self.tell_what_is_wrong(wrong);
        self.count_in();
        self.ask_plugins();
        self.plan_measures();
    }

    /// Do what is due by time.
    pub(super) fn tend_balance(&mut self) {
        self.measure();
        if self.balance.next.is_none_or(|next| next > Instant::now()) {
            return;
        }
        if let Ok(table) = &mut self.balance.table {
            let text = match table.tend() {
                Ok(None) => None,
                Ok(Some(_)) => Some("somebody changed the table hostctl: it was put right".into()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(text) = text {
                self.chronicle.add(About::default(), EventKind::Warning, text);
            }
        }
        self.serve();
    }

    /// Lease the places of every service that is to be found; who can't have theirs, and why.
    fn keep_places(&mut self) -> (BTreeSet<places::Holder>, BTreeSet<String>) {
        let mut wanted: BTreeMap<_, _> =
            self.served().iter().map(|one| (one.holder(), one.keys())).collect();
        let made = self.balance.said.values().filter(|said| !said.places.is_empty());
        wanted.extend(made.map(|said| ((said.name.clone(), String::new()), said.keys())));
        let (mut lost, mut wrong) = (BTreeSet::new(), BTreeSet::new());
        if !self.balance.places.give_back(&wanted) {
            return (lost, wrong);
        }
        let policy = source::policy(&self.directories.policy()).unwrap_or_default();
        let (directories, clock) = (&self.directories, self.clock);
        let around = Surroundings { directories, range: policy.ports, clock };
        for (holder, keys) in &wanted {
            let (app, service) = holder;
            match self.balance.places.lease(holder, keys, around) {
                Err(error) if Places::is_foreign(&error, app) => {
                    let dot = if service.is_empty() { "" } else { "." };
                    wrong.insert(format!("{app}{dot}{service} is not to be found: {error}"));
                    lost.insert(holder.clone());
                }
                _ => {}
            }
        }
        (lost, wrong)
    }

    /// Whether a new version's services can have their places; else who has them.
    pub(super) fn claim_places(
        &mut self,
        app: &str,
        services: &[Service],
    ) -> Result<(), ErrorBody> {
        let told = |error| refusal::of(&Error::Run(RunError::Lease(error), None));
        let policy = source::policy(&self.directories.policy()).unwrap_or_default();
        let pool = Pool(policy.addresses);
        let is_instance = |address: IpAddr| match address {
            IpAddr::V4(v4) => pool.with(v4).is_some(),
            IpAddr::V6(v6) => {
                self.live.values().any(|live| live.own.is_some_and(|own| own.v6 == v6))
            }
        };
        for service in services.iter().filter(|service| service.balanced.is_some()) {
            let keys: BTreeSet<_> = service.ports.iter().flat_map(places::keys).collect();
            let holder = (app.to_owned(), service.name.clone());
            let (directories, clock) = (&self.directories, self.clock);
            let around = Surroundings { directories, range: policy.ports, clock };
            match self.balance.places.lease(&holder, &keys, around) {
                Ok(()) => {}
                Err(error) if Places::is_foreign(&error, app) => return Err(told(error)),
                // An earlier version has it still.
                Err(_) => continue,
            }
            let met = |key| places::stranger(key, &is_instance).map(|owner| (key, owner));
            if let Some((key, owner)) = keys.iter().find_map(met) {
                return Err(told(places::in_use(key, owner)));
            }
        }
        Ok(())
    }

    /// A backend that an operator added answers, or does not.
    pub(super) fn is_checked(&mut self, which: &Which, healthy: bool) {
        self.balance.checks.found(which, healthy);
        let (name, backend) = which;
        let what = if healthy { "answers" } else { "does not answer" };
        let text = format!("{name}: {backend} {what}");
        let kind = if healthy { EventKind::Progress } else { EventKind::Warning };
        self.chronicle.add(About::default(), kind, text);
        self.serve();
    }

    /// Ask the backends that operators added how they are.
    fn check_added(
        &mut self,
        wanted: &BTreeMap<ServiceName, steer::Wanted>,
        assumed: Option<bool>,
    ) {
        let Balance { checks, said, .. } = &mut self.balance;
        let datagram = |said: &Said| {
            let listens = ServiceName::new(&said.name).ok().and_then(|name| wanted.get(&name));
            let first = listens.and_then(|wanted| wanted.listens.first());
            first.is_some_and(|listen| listen.transport == Transport::Udp)
        };
        let all = said.values().map(|said| (said, datagram(said)));
        checks.ask(all, assumed, &self.sender);
    }

    /// What is wrong is told once.
    fn tell_what_is_wrong(&mut self, wrong: BTreeSet<String>) {
        for text in wrong.difference(&self.balance.told.clone()) {
            self.chronicle.add(About::default(), EventKind::Warning, text.clone());
        }
        self.balance.told = wrong;
    }

    /// An instance was found to be ready: it counts as that as soon as clients are sent to it.
    pub(super) fn is_found_ready(&mut self, name: &Name) {
        let service = self.service_of(name);
        let balanced = service.as_ref().is_some_and(|service| service.balanced.is_some());
        if !balanced || self.balance.table.is_err() {
            return self.happen(name, Happening::Ready);
        }
        let Some(live) = self.live.get_mut(name) else { return };
        live.passed = true;
        if let Some(service) = &service {
            live.look_for_ipv6(service);
        }
        self.serve();
    }

    /// Instances that clients are sent to, and were not yet.
    fn count_in(&mut self) {
        if !self.balance.is_in_force() {
            return;
        }
        let waits = |live: &&Live| live.passed && live.instance.state() == State::Starting;
        let names: Vec<Name> =
            self.live.values().filter(waits).map(|live| live.name.clone()).collect();
        for name in names {
            self.happen(&name, Happening::Ready);
        }
    }

    /// Where an instance is asked how it is, if it is not where everybody finds its service.
    pub(super) fn asked_at(&self, mark: &Mark, service: &Service) -> Option<(SocketAddr, Way)> {
        let live = self.live.get(&mark.name)?;
        let main = service.ports.iter().find(|port| port.name.is_none() && !port.datagram)?;
        wanted::asked(live, service, main)
    }

    /// Whether an instance has clients that are let go before it ends. They are not where their new
    /// ones could go nowhere meanwhile: where its successor has to wait for its end.
    pub(super) fn has_clients(&self, name: &Name) -> bool {
        let successor = self.apps.get(&name.app).and_then(|app| {
            let target = app.versions.get(&app.record.target)?;
            target.services.iter().find(|service| service.name == name.service)
        });
        let waits = successor.is_some_and(|service| service.takeover == Takeover::Replace);
        let balanced = self.service_of(name).is_some_and(|service| service.balanced.is_some());
        self.balance.table.is_ok() && balanced && !waits
    }
}

impl Live {
    /// Find out on which of its ports it speaks IPv6, too.
    pub(super) fn look_for_ipv6(&mut self, service: &Service) {
        let Some(own) = self.own.filter(|_| service.own_address) else { return };
        let there = |address: IpAddr| address == own.v6;
        let speaks = |port: &&ServicePort| {
            let protocol = if port.datagram { Protocol::Udp } else { Protocol::Tcp };
            probe::listener(protocol, port.target(service), there).is_some()
        };
        let ports = service.ports.iter().filter(speaks);
        self.six = ports.map(|port| (port.datagram, port.target(service))).collect();
    }
}

/// Whether where a port is found changes with the addresses of an interface.
fn follows_interface(port: &ServicePort) -> bool {
    port.interface.as_ref().is_some_and(|name| name != "lo")
}
