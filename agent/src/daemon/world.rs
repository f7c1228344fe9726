//! Everything that hostd knows: apps, instances, and what is to be done about the difference.
//!
//! Owns the one mutable state of the daemon. Invariant: it changes by [`World::take`] and
//! [`World::tick`] alone, one event at a time; what must outlive hostd is on disk before it is
//! acted on. What is to be done is decided by [`crate::fleet`] and [`crate::supervise::instance`],
//! never here.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use manifest_spec::api::{ErrorBody, ErrorCode};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::balance::Balance;
use super::chronicle::Chronicle;
use super::event::{Call, Event, Mark, Reply};
use super::front::Front;
use super::gauge::Seen;
use super::live::Live;
use super::peer::Peer;
use super::record::{AppRecord, VersionRecord};
use super::services::Service;
use super::store::Store;
use crate::audit::Log;
use crate::dns::Names;
use crate::fleet::{self, Decision};
use crate::keep::assignment::{HandedSocket, Name};
use crate::keep::folder;
use crate::plan::Directories;
use crate::state::StateError;

/// An app, with every version that is kept.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) record: AppRecord,
    pub(super) versions: BTreeMap<u32, VersionRecord>,
}

impl App {
    /// A service of a version.
    pub(super) fn service(&self, version: u32, name: &str) -> Option<&Service> {
        self.versions.get(&version)?.services.iter().find(|service| service.name == name)
    }

    /// How many instances of a service of a version are wanted.
    pub(super) fn count(&self, service: &Service) -> u32 {
        let said = self.record.services.get(&service.name).and_then(|said| said.count);
        said.unwrap_or(service.count)
    }
}

/// Sockets that the instances of a service share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) sockets: Vec<(HandedSocket, OwnedFd)>,
}

/// See the module's text.
#[derive(Debug)]
pub struct World {
    pub(super) apps: BTreeMap<String, App>,
    pub(super) live: BTreeMap<Name, Live>,
    pub(super) shared: BTreeMap<(String, String), Shared>,
    pub(super) balance: Balance,
    pub(super) store: Store,
    pub(super) chronicle: Chronicle,
    pub(super) audit: Log,
    pub(super) directories: Directories,
    pub(super) sender: UnboundedSender<Event>,
    pub(super) started: Instant,
    pub(super) started_ms: u64,
    pub(super) clock: fn() -> Duration,
    pub(super) serial: u64,
    /// The host goes down: nothing is started any more.
    pub(super) halting: bool,
    /// Numbers of commands that run inside instances.
    pub(super) commands: u32,
    /// Instances whose memory is not on disk as it is here.
    pub(super) unwritten: BTreeSet<Name>,
    /// When a refusal was last recorded, and how many since then were not.
    pub(super) refusals: (Option<Instant>, u32),
    /// What was seen of how logs do, by instance.
    pub(super) gauged: BTreeMap<String, Seen>,
    /// Where the folders of its instances are, below RUN.
    pub(super) place: String,
    /// Who shows what instances write, if somebody does.
    pub(super) front: Option<Front>,
    /// What services are called on this host.
    pub(super) names: watch::Sender<Names>,
    /// When what could not be done is tried again.
    stuck: Option<Instant>,
    chance: u64,
}

/// How late it was, by the time that instances count, when this hostd began: whatever an earlier one
/// remembers of them was after zero then.
const BEGINNING: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// How long keepers get to say the last lines of their programs before an app is shown.
const MOMENT: Duration = Duration::from_millis(10);

/// When what the disk did not take is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// What a hostd begins with.
#[derive(Debug)]
pub struct Beginnings {
    /// Where files are.
    pub directories: Directories,
    /// Where events are sent.
    pub sender: UnboundedSender<Event>,
    /// The time since 1970.
    pub clock: fn() -> Duration,
}

impl World {
    /// The world as it is on disk. Nothing is started or stopped before [`World::settle`].
    ///
    /// # Errors
    /// When the state can't be read: hostd must not go on then.
    pub fn open(beginnings: Beginnings) -> Result<World, StateError> {
        let store = Store::open(&beginnings.directories)?;
        World::over(store, beginnings)
    }

    /// A world that is forgotten when it ends.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(super) fn passing(beginnings: Beginnings, front: Front) -> Result<World, StateError> {
        let place = folder::foreground();
        let world = World::over(Store::passing()?, beginnings)?;
        Ok(World { place, front: Some(front), ..world })
    }

    fn over(store: Store, beginnings: Beginnings) -> Result<World, StateError> {
        let Beginnings { directories, sender, clock } = beginnings;
        let apps = store.load()?.into_iter().map(|(record, versions)| {
            let versions = versions.into_iter().map(|version| (version.number, version)).collect();
            (record.name.clone(), App { record, versions })
        });
        Ok(World {
            apps: apps.collect(),
            live: BTreeMap::new(),
            shared: BTreeMap::new(),
            balance: Balance::none("an app in the foreground has no balancer"),
            store,
            chronicle: Chronicle::new(clock),
            audit: Log::new(&directories),
            directories,
            sender,
            started: Instant::now(),
            started_ms: clock().as_millis() as u64,
            clock,
            serial: 0,
            halting: false,
            commands: 0,
            unwritten: BTreeSet::new(),
            refusals: (None, 0),
            gauged: BTreeMap::new(),
            place: folder::INSTANCES.to_owned(),
            front: None,
            names: watch::channel(Names::default()).0,
            stuck: None,
            chance: clock().as_nanos() as u64 | 1,
        })
    }

    /// Take in what happened; whatever follows from it is done by [`World::settle`].
    pub fn take(&mut self, event: Event) {
        match event {
            Event::Call(Call::App(app), peer, reply) if self.ask_for_lines(&app, &peer) => {
                let sender = self.sender.clone();
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(MOMENT).await;
                    let _ = sender.send(Event::Late(Call::App(app), peer, reply));
                });
            }
            Event::Call(call, peer, reply) | Event::Late(call, peer, reply) => {
                let answer = self.answer(call, &peer);
                // Whoever asked may have gone.
                let _ = reply.send(answer.map_err(Box::new));
            }
            Event::News(mark, news, fds) => self.hear(&mark, news, fds),
            Event::Silent(mark) => self.fell_silent(&mark),
            Event::Found(mark, connection) => self.found(&mark, connection),
            Event::Verdict(mark, verdict) => self.judged(&mark, verdict),
            Event::Inside(mark, check) => self.check_inside(&mark, check),
            Event::SignalInside(mark, id, signal) => self.signal_inside(&mark, id, signal),
            Event::Backend(which, healthy) => self.is_checked(&which, healthy),
            Event::Policy(news) => self.is_answered(&news),
            Event::Logs(all) => self.gauge(all),
            Event::Children => reap(),
            Event::End => {}
        }
    }

    /// Do what is due by time.
    pub fn tick(&mut self) {
        let now = self.now();
        let due = |live: &&Live| live.instance.deadline().is_some_and(|deadline| deadline <= now);
        let names: Vec<Name> =
            self.live.values().filter(due).map(|live| live.name.clone()).collect();
        self.tend_balance();
        for name in names {
            let jitter = self.jitter();
            let Some(live) = self.live.get_mut(&name) else { continue };
            let before = live.instance.state();
            let action = live.instance.due(now, jitter);
            self.changed(&name, before);
            self.act(&name, action);
        }
    }

    /// When [`World::tick`] is due next.
    pub fn deadline(&self) -> Option<Instant> {
        let instances = self.live.values().filter_map(|live| live.instance.deadline());
        let left = |deadline: Duration| deadline.saturating_sub(BEGINNING);
        let next = instances.map(|deadline| self.started + left(deadline)).min();
        next.into_iter().chain(self.stuck).chain(self.balance.deadline()).min()
    }

    /// Do everything that follows from how things stand, until nothing more does, or until what is
    /// left can't be done now because the disk takes nothing: then again in a while.
    pub fn settle(&mut self) {
        self.start_waiting();
        self.serve();
        if self.stuck.is_some_and(|until| until > Instant::now()) {
            return self.write_memories();
        }
        self.stuck = None;
        loop {
            let decisions = fleet::decide(&self.desired(), &self.actual());
            let mut moved = false;
            for decision in &decisions {
                moved |= self.follow(decision);
            }
            if !moved {
                self.stuck = (!decisions.is_empty()).then(|| Instant::now() + AGAIN);
                break;
            }
            self.serve();
        }
        self.write_memories();
        self.tell_names();
    }

    fn answer(&mut self, call: Call, peer: &Peer) -> Result<Reply, ErrorBody> {
        let deed = call.deed();
        let answer = self.permit(&call, peer).and_then(|()| self.perform(call, peer));
        if let (Err(error), Some((action, target))) = (&answer, deed)
            && error.code == ErrorCode::Forbidden
        {
            self.record_refusal(peer, action, &target, &error.message);
        }
        answer
    }

    fn perform(&mut self, call: Call, peer: &Peer) -> Result<Reply, ErrorBody> {
        match call {
            Call::Host => Ok(Reply::Host(Box::new(self.host_status()))),
            Call::Apps => Ok(Reply::Apps(self.app_list(peer)?)),
            Call::App(app) => {
                self.count_anew();
                Ok(Reply::App(Box::new(self.app_status(&app)?)))
            }
            Call::Deploy(request) => self.deploy(&request, peer).map(Reply::Deployed),
            Call::Plan(request) => {
                self.difference(&request, peer).map(|all| Reply::Difference(Box::new(all)))
            }
            Call::Stop(app, request) => self.stop(&app, &request, peer).map(Reply::Changed),
            Call::Start(app, request) => self.start(&app, &request, peer).map(Reply::Changed),
            Call::Restart(app, request) => self.restart(&app, &request, peer).map(Reply::Changed),
            Call::Scale(app, request) => self.scale(&app, &request, peer).map(Reply::Changed),
            Call::Rollback(app, request) => {
                self.roll_back_to(&app, &request, peer).map(Reply::Deployed)
            }
            Call::Remove(app, request) => self.remove(&app, &request, peer).map(Reply::Changed),
            Call::History(app) => Ok(Reply::History(Box::new(self.history(&app)?))),
            Call::Events { since, app } => {
                let past = self.chronicle.since(since, app.as_deref());
                Ok(Reply::Events(past, self.chronicle.follow()))
            }
            Call::Logs(query) => Ok(Reply::Logs(self.directories.logs(), query)),
            Call::Sinks(app) => self.sinks(app.as_deref()).map(Reply::Sinks),
            Call::AddSink(app, entry) => self.add_sink(&app, *entry, peer).map(Reply::Changed),
            Call::RemoveSink(app, name) => self.remove_sink(&app, &name, peer).map(Reply::Changed),
            Call::TestSinks(app, request) => self.sinks_to_test(&app, *request, peer),
            Call::Exec(app, request) => {
                self.execute(&app, *request, peer).map(|all| Reply::Exec(Box::new(all)))
            }
            Call::Lb(name) => self.lb(name.as_deref(), peer).map(Reply::Lb),
            Call::LbAdd(request) => self.lb_add(&request, peer).map(Reply::Changed),
            Call::LbRemove(request) => self.lb_remove(&request, peer).map(Reply::Changed),
            Call::LbWeight(request) => self.lb_weight(&request, peer).map(Reply::Changed),
            Call::LbDrain(request) => self.lb_drain(&request, peer).map(Reply::Changed),
            Call::LbPolicy(request) => self.lb_policy(&request, peer).map(Reply::Changed),
            Call::Metrics => Ok(Reply::Metrics(self.metrics())),
            Call::Halt => self.halt(peer).map(Reply::Changed),
            Call::Audit { count } => self.entries(count).map(Reply::Audit),
        }
    }

    /// Do what was decided; whether it could be done.
    fn follow(&mut self, decision: &Decision) -> bool {
        match decision {
            Decision::Start { id, version } => self.begin(id, *version),
            Decision::Stop { id, why } => self.end(id, *why),
            Decision::Adopt { id, version } => self.adopt_into(id, *version),
            Decision::Forget { id } => self.forget(id),
            Decision::Promote { app } => self.promote(app),
            Decision::RollBack { app, reason } => self.give_up(app, reason),
            Decision::Gone { app } => self.gone(app),
        }
    }

    /// The machine goes down: everything is stopped, in order, and nothing is started any more.
    pub(super) fn go_down(&mut self) {
        self.halting = true;
    }

    /// How many instances have a process, or may have one.
    pub(super) fn alive(&self) -> usize {
        self.live.values().filter(|live| live.instance.is_alive()).count()
    }

    /// What hostd says of itself when it begins.
    pub fn greeting(&self, place: &super::place::Place) -> String {
        let running = self.alive();
        let socket = place.directories().socket();
        format!(
            "{} apps, {running} instances taken over; the API is at {}",
            self.apps.len(),
            socket.display()
        )
    }

    /// The time that instances count.
    pub(super) fn now(&self) -> Duration {
        BEGINNING + self.started.elapsed()
    }

    /// Milliseconds since 1970.
    pub(super) fn now_ms(&self) -> u64 {
        (self.clock)().as_millis() as u64
    }

    /// Anything from 0 to 1, so that what failed together is not tried again together. Nobody has
    /// to be kept from guessing it (xorshift64).
    pub(super) fn jitter(&mut self) -> f64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The mark of the next life of an instance.
    pub(super) fn mark(&mut self, name: &Name) -> Mark {
        self.serial += 1;
        Mark { name: name.clone(), serial: self.serial }
    }

    /// The instance that a mark is of, if it is still that life of it.
    pub(super) fn marked(&mut self, mark: &Mark) -> Option<&mut Live> {
        self.live.get_mut(&mark.name).filter(|live| live.serial == mark.serial)
    }
}

/// Take the status of keepers that have ended: what they had to say is in their folders.
fn reap() {
    while let Ok(host_sys::process::Reaped::Child(..)) = host_sys::process::reap() {}
}
