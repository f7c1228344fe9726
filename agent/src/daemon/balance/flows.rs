//! Connections of backends: counted while somebody wants to know, and flows of UDP that would go to
//! who is gone.
//!
//! Invariant: an instance is told to end when none is left, at its deadline at the latest. Counting
//! takes a twentieth of hostd's time at most: the larger the kernel's table, the rarer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use host_sys::diag;
use loadbalancer::conntrack::{Counts, Tracker};
use loadbalancer::nft::Transport;
use loadbalancer::policy::Policy;
use loadbalancer::registry::{
    At, Backend, BackendId, Change, Listen, Name, Registry, Service, State,
};

use super::wanted::IPV6;
use crate::balance::{Socket, conntrack};
use crate::daemon::world::World;
use crate::keep::assignment::Name as Instance;
use crate::supervise::instance::{Happening, State as Phase};

/// Between two counts while an instance drains, and while a policy depends on them.
const DRAINING: Duration = Duration::from_millis(100);
const WEIGHING: Duration = Duration::from_secs(1);

/// What was counted so long ago is still what somebody asks for.
const FRESH: Duration = Duration::from_millis(250);

/// The part of its time that counting may take: one of so many.
const SHARE: u32 = 20;

/// How long after the change of the table a connection may still come that was on its way.
const SETTLED: Duration = Duration::from_millis(50);

/// What counts.
#[derive(Debug, Default)]
pub(super) struct Meter {
    tracker: Option<Tracker<Socket>>,
    /// What was counted last.
    counts: Counts,
    counted: Option<Instant>,
    /// How long that took.
    took: Duration,
    next: Option<Instant>,
    /// When an instance was taken out of the slots, by its name.
    since: BTreeMap<Instance, Instant>,
}

/// A backend of UDP that clients may have flows with, and where they found it.
pub(super) type Lines = BTreeSet<(Name, SocketAddr)>;

impl Meter {
    /// When to count next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Count now.
    ///
    /// # Errors
    /// What the kernel says, in words.
    pub(super) fn count(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        self.counts = self.tracker()?.count().map_err(|error| error.to_string())?;
        self.took = begun.elapsed();
        self.counted = Some(Instant::now());
        Ok(())
    }

    /// How many connections there were to a place; `None` if nobody counted.
    pub(super) fn count_of(&self, transport: Transport, target: SocketAddr) -> Option<u64> {
        self.counted?;
        Some(self.counts.get(&(transport, target)).copied().unwrap_or(0))
    }

    /// Have clients of UDP find who serves now.
    pub(super) fn forget(
        &mut self,
        targets: &[SocketAddr],
        places: &[Listen],
    ) -> Result<(), String> {
        let there = |asked: SocketAddr| places.iter().any(|listen| is_at(listen, asked));
        let forgotten = self.tracker()?.forget_udp(targets, there);
        forgotten.map(|_| ()).map_err(|error| error.to_string())
    }

    fn tracker(&mut self) -> Result<&mut Tracker<Socket>, String> {
        if self.tracker.is_none() {
            let tracker = conntrack::tracker().map_err(|errno| errno.desc().to_owned())?;
            self.tracker = Some(tracker);
        }
        self.tracker.as_mut().ok_or_else(String::new)
    }
}

fn is_at(listen: &Listen, asked: SocketAddr) -> bool {
    let here = match listen.at {
        At::Any => true,
        At::Address(address) => address == asked.ip(),
    };
    here && listen.transport == Transport::Udp && listen.port.get() == asked.port()
}

/// Every backend of UDP that clients were sent to and may be sent to still.
pub(super) fn lines(registry: &Registry) -> Lines {
    let mut all = Lines::new();
    for (name, service) in registry.services().filter(|(_, service)| speaks_udp(service)) {
        let kept = |state| matches!(state, State::Serving | State::Draining);
        let backends = service.backends().filter(|(_, backend)| kept(backend.state()));
        all.extend(backends.map(|(_, backend)| (name.clone(), backend.given().target.get())));
    }
    all
}

fn speaks_udp(service: &Service) -> bool {
    service.listens().iter().any(|listen| listen.transport == Transport::Udp)
}

/// What must be forgotten of UDP after a change: who went, and where somebody came to whom nobody
/// could be sent before.
pub(super) fn stale(before: &Lines, registry: &Registry) -> (Vec<SocketAddr>, Vec<Listen>) {
    let now = lines(registry);
    let names = |lines: &Lines| lines.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
    let gone = before.difference(&now).map(|(_, target)| *target).collect();
    let came = names(&now).difference(&names(before)).cloned().collect::<Vec<_>>();
    let services = came.iter().filter_map(|name| registry.service(name));
    (gone, services.flat_map(Service::listens).copied().collect())
}

impl World {
    /// Count connections if somebody waits for that, and do what follows.
    pub(super) fn measure(&mut self) {
        let now = Instant::now();
        if self.balance.meter.next.is_none_or(|next| next > now) {
            return;
        }
        let draining = self.draining();
        let elsewhere = draining.iter().any(|name| self.servers_of(name).is_none());
        if (elsewhere || self.is_weighed())
            && let Err(why) = self.balance.meter.count()
        {
            // An instance that drains then has all of its time.
            self.balance.tell_once(&mut self.chronicle, format!("connections: {why}"));
        }
        self.weigh();
        self.look_at_usage();
        self.ask_plugins();
        for name in &draining {
            let settled = self.balance.meter.since.get(name).is_some_and(|at| *at + SETTLED < now);
            if settled && self.left(name) == Some(0) {
                self.happen(name, Happening::Drained);
            }
        }
        let took = now.elapsed();
        self.balance.meter.next = self.pause().map(|pause| now + pause.max(took * SHARE));
    }

    /// Plan the next count, after the table was changed.
    pub(super) fn plan_measures(&mut self) {
        let now = Instant::now();
        let draining: BTreeSet<Instance> = self.draining().into_iter().collect();
        let meter = &mut self.balance.meter;
        meter.since.retain(|name, _| draining.contains(name));
        let mut fresh = false;
        for name in draining {
            meter.since.entry(name).or_insert_with(|| {
                fresh = true;
                now
            });
        }
        let next = self.balance.meter.next;
        self.balance.meter.next = match self.pause() {
            Some(_) if fresh => Some(now + SETTLED),
            Some(pause) => next.or(Some(now + pause)),
            None => None,
        };
    }

    /// How many connections an instance that drains still has. What is on this host's network is
    /// asked for its sockets: the kernel remembers a connection for minutes after its end, and to
    /// go through all of those takes long on a busy host.
    pub(in crate::daemon) fn left(&self, name: &Instance) -> Option<u64> {
        let Some(sockets) = self.servers_of(name) else { return self.connections(name) };
        let mut counts = sockets.into_iter().map(diag::clients);
        counts.try_fold(0, |sum, count| Some(sum + count.ok()? as u64))
    }

    /// Where an instance of this host's network is connected to by TCP; `None` for another.
    fn servers_of(&self, name: &Instance) -> Option<Vec<SocketAddr>> {
        let service = self.service_of(name).filter(|service| service.own_address)?;
        let own = self.live.get(name)?.own?;
        let streams = service.ports.iter().filter(|port| !port.datagram);
        let numbers = streams.map(|port| port.target(&service));
        let both = |number| {
            [IpAddr::from(own.v4), own.v6.into()].map(|address| SocketAddr::new(address, number))
        };
        Some(numbers.flat_map(both).collect())
    }

    /// Whether some policy goes by counts.
    fn is_weighed(&self) -> bool {
        let live = |(_, service): (&Name, &Service)| is_live(service.policy());
        self.has_plugins() || self.balance.registry.services().any(live)
    }

    /// How many connections clients have with an instance, as they were counted last. Those of UDP
    /// are left out: the kernel remembers a flow for minutes after its last datagram, so waiting for
    /// that would be waiting for the deadline.
    pub(in crate::daemon) fn connections(&self, name: &Instance) -> Option<u64> {
        let targets = self.targets(name);
        let meter = &self.balance.meter;
        let streams = targets.iter().filter(|(transport, _)| *transport == Transport::Tcp);
        let mut counts = streams.map(|(transport, target)| meter.count_of(*transport, *target));
        match targets.is_empty() {
            true => None,
            false => counts.try_fold(0, |sum, count| Some(sum + count?)),
        }
    }

    /// Count for somebody who asks, unless that was done just now.
    pub(in crate::daemon) fn count_anew(&mut self) {
        let meter = &self.balance.meter;
        // Who asks again and again must not keep hostd from everything else.
        let pause = FRESH.max(meter.took * SHARE);
        let fresh = meter.counted.is_some_and(|at| at.elapsed() < pause);
        if !fresh && self.balance.services().next().is_some() {
            // What is not known is left out.
            let _ = self.balance.meter.count();
        }
    }

    /// End the connections of backends that are no more.
    pub(in crate::daemon) fn cut_off(&mut self, targets: &[SocketAddr]) {
        let both = [Transport::Tcp, Transport::Udp];
        let all: Vec<_> = targets.iter().flat_map(|one| both.map(|of| (of, *one))).collect();
        // Without a tracker they end by themselves.
        let _ = self.balance.meter.tracker().map(|tracker| tracker.end_of(&all));
    }

    fn targets(&self, name: &Instance) -> BTreeSet<(Transport, SocketAddr)> {
        let name = name.to_string();
        let own = |id: &BackendId| {
            id.as_str().strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest == IPV6)
        };
        let mut targets = BTreeSet::new();
        for (_, service) in self.balance.registry.services() {
            let transport = service.listens().first().map(|listen| listen.transport);
            let backends = service.backends().filter(|(id, _)| own(id));
            let of = |one: &Backend| Some((transport?, one.given().target.get()));
            targets.extend(backends.filter_map(|(_, one)| of(one)));
        }
        targets
    }

    /// Instances that clients are sent to no more, as the kernel knows.
    fn draining(&self) -> Vec<Instance> {
        let drains = |live: &&crate::daemon::live::Live| live.instance.state() == Phase::Draining;
        let all = self.live.values().filter(drains).map(|live| live.name.clone());
        if self.balance.is_in_force() { all.collect() } else { Vec::new() }
    }

    /// How long until the next count; `None` if nobody waits for one.
    fn pause(&self) -> Option<Duration> {
        if !self.draining().is_empty() {
            return Some(DRAINING);
        }
        self.is_weighed().then_some(WEIGHING)
    }

    /// Tell policies that go by counts.
    fn weigh(&mut self) {
        let balance = &mut self.balance;
        let mut touched = BTreeSet::new();
        let services = balance.registry.services();
        let measures: Vec<Change> = services
            .map(|(name, service)| {
                let transport = service.listens().first().map(|listen| listen.transport);
                let count = |target| {
                    let transport = transport.unwrap_or(Transport::Tcp);
                    balance.meter.counts.get(&(transport, target)).copied().unwrap_or(0)
                };
                let counts = service
                    .backends()
                    .map(|(id, one)| (id.clone(), count(one.given().target.get())));
                Change::Measure(name.clone(), counts.collect())
            })
            .collect();
        for change in measures {
            if let Ok(name) = balance.registry.apply(change)
                && balance.registry.service(&name).is_some_and(|one| is_live(one.policy()))
            {
                touched.insert(name);
            }
        }
        if let (Ok(table), false) = (&mut balance.table, touched.is_empty()) {
            // What is refused is tried again when the table is tended.
            let _ = table.put(&balance.registry, &touched);
        }
    }
}

/// Whether a policy goes by counts of connections.
fn is_live(policy: &Policy) -> bool {
    matches!(policy, Policy::LeastConnections | Policy::P2c)
}
