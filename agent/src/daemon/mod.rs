//! hostd: keeps deployed apps running.
//!
//! Owns what is deployed on this host and its API. One thread, one loop over [`event::Event`]: take
//! in what happened, then do what follows from how things stand ([`world::World::settle`]).
//!
//! Invariant: an app outlives hostd. Everything that must is in keepers ([`crate::keep`]) and on
//! disk, so a hostd that is killed at any instant is continued by the next: none is restarted, none
//! lost, none started twice. Never runs a program itself.
//!
//! | module | owns |
//! | --- | --- |
//! | [`world`] | the state, and the order in which it changes |
//! | [`event`] | what can happen, what can be asked and answered |
//! | [`record`], [`store`] | what is kept over reboots |
//! | [`services`], [`difference`] | what a version comes to; what it changes |
//! | [`deploy`], [`operations`] | what operators do |
//! | [`rollout`] | what is decided about apps |
//! | [`live`], [`launch`], [`hearing`], [`recover`] | instances: started, heard, taken over |
//! | [`balance`] | who is found where: the load balancer |
//! | [`lb`] | what operators see and change of it |
//! | [`ports`] | ports of their own, where several need the same |
//! | [`names`] | what `NAME.internal` is told |
//! | [`front`] | the same for an app in the foreground |
//! | [`keeper`], [`probe`] | listening to keepers, asking instances |
//! | [`inside`], [`session`] | commands inside instances |
//! | [`shown`], [`chronicle`] | how things stand, what happened |
//! | [`records`], [`sinks`], [`gauge`] | what apps wrote, where that goes, how it does |
//! | [`server`], [`routes`], [`refusal`], [`peer`] | the API |
//! | [`place`] | hostd's own place: its lock, its socket, who started it |
//! | [`ending`] | the end of hostd, and of the machine |

mod balance;
mod chronicle;
mod deploy;
mod difference;
mod ending;
mod event;
pub mod front;
mod gauge;
mod hearing;
mod inside;
mod keeper;
mod launch;
mod lb;
mod live;
mod names;
mod operations;
mod peer;
pub mod place;
mod ports;
mod probe;
mod record;
mod records;
mod recover;
mod refusal;
mod rollout;
pub mod routes;
mod server;
pub mod services;
mod session;
mod shown;
mod sinks;
mod store;
mod watch;
mod world;

use std::io;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::LocalSet;

use crate::clock::since_epoch;
use crate::plan::Directories;
use crate::state::StateError;
use crate::store::StoreError;

use ending::Ending;
use event::Event;
use place::{Place, PlaceError, Systemd};
use world::{Beginnings, World};

/// Why hostd does not run.
#[derive(Debug)]
pub enum DaemonError {
    /// Its lock or its socket.
    Place(PlaceError),
    /// What is deployed can't be read.
    State(StateError),
    /// The folders of instances can't be looked at.
    Store(StoreError),
    /// A call of its own failed.
    Io(io::Error),
}

impl From<io::Error> for DaemonError {
    fn from(error: io::Error) -> Self {
        DaemonError::Io(error)
    }
}

impl std::fmt::Display for DaemonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DaemonError::Place(error) => error.fmt(f),
            DaemonError::State(error) => error.fmt(f),
            DaemonError::Store(error) => error.fmt(f),
            DaemonError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DaemonError {}

/// Run until somebody ends it. `say` gets what is worth a line in the host's log.
///
/// # Errors
/// When it can't begin: another hostd is there, or its state can't be used.
pub fn run(directories: Directories, say: &mut dyn FnMut(&str)) -> Result<(), DaemonError> {
    let place = Place::take(&directories).map_err(DaemonError::Place)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, live(directories, place, say))
}

async fn live(
    directories: Directories,
    place: Place,
    say: &mut dyn FnMut(&str),
) -> Result<(), DaemonError> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let beginnings = Beginnings { directories, sender: sender.clone(), clock: since_epoch };
    let mut world = World::open(beginnings).map_err(DaemonError::State)?;
    place.settle().map_err(DaemonError::Place)?;
    names::answer(world.names(), say).await;
    tokio::task::spawn_local(signals(sender.clone())?);
    tokio::task::spawn_local(gauge::watch(place.directories().clone(), sender.clone()));
    world.recover().map_err(DaemonError::Store)?;
    world.begin_to_balance();
    let listener = place.listen().map_err(DaemonError::Place)?;
    tokio::task::spawn_local(server::serve(listener, sender));
    let systemd = Systemd::new();
    systemd.say("READY=1");
    say(&world.greeting(&place));
    if let Some(why) = world.unbalanced().filter(|_| host_sys::creds::effective().0 == 0) {
        say(&format!("the ports of services are not balanced: {why}"));
    }
    let ending = attend(&mut world, &mut receiver, &systemd, say).await;
    systemd.say("STOPPING=1");
    say(&ending.farewell(&world));
    Ok(())
}

/// The loop: an event or a time, then everything that follows.
async fn attend(
    world: &mut World,
    receiver: &mut UnboundedReceiver<Event>,
    systemd: &Systemd,
    say: &mut dyn FnMut(&str),
) -> Ending {
    let mut watchdog = systemd.watchdog().map(tokio::time::interval);
    let mut ending = Ending::default();
    loop {
        world.settle();
        if ending.is_here(world, systemd) {
            return ending;
        }
        let next = world.deadline().into_iter().chain(ending.deadline()).min();
        let next = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            event = receiver.recv() => match event {
                None => return ending,
                Some(event) => ending.take(event, world, systemd, say),
            },
            () = tokio::time::sleep_until(next.into()) => {}
            () = tick(&mut watchdog) => systemd.say("WATCHDOG=1"),
        }
        // Many can be waiting, and one look at how things stand serves them all.
        while let Ok(event) = receiver.try_recv() {
            ending.take(event, world, systemd, say);
        }
        world.tick();
    }
}

async fn tick(watchdog: &mut Option<tokio::time::Interval>) {
    match watchdog {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

/// Signals as events.
fn signals(sender: UnboundedSender<Event>) -> io::Result<impl Future<Output = ()>> {
    let mut children = signal(SignalKind::child())?;
    let mut ends: [Signal; 2] =
        [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    // A terminal that hangs up ends nothing: hostd is no part of it.
    let mut hangups = signal(SignalKind::hangup())?;
    Ok(async move {
        let [terminate, interrupt] = &mut ends;
        loop {
            let event = tokio::select! {
                _ = children.recv() => Event::Children,
                _ = terminate.recv() => Event::End,
                _ = interrupt.recv() => Event::End,
                _ = hangups.recv() => continue,
            };
            if sender.send(event).is_err() {
                return;
            }
        }
    })
}
