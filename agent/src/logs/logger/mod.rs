//! The process `hostctl-logger`: one for each running instance whose output is collected.
//!
//! Owns its own life: what it is passed, its privileges, its loop, its end. It is hostctl's or hostd's
//! own executable once more, started by the holder of the instance's pipes, who starts another one
//! when it dies; so a kill loses nothing. Invariant: one thread collects and never waits for sinks or
//! for the disk; sinks have a thread, syncing has one. It ends when everything is collected and
//! shipped, or when it has been idle for a minute; or, once its holder wants or needs nothing more,
//! when it is asked to. Never decides what is a record, never keeps what is not in a file or a pipe.
//!
//! | module | owns |
//! | --- | --- |
//! | [`routing`] | the thread of the sinks |
//! | [`report`] | the metrics of a log without sinks |

mod report;
mod routing;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_sys::poll::{Interest, wait};
use host_sys::{creds, datagram, file, process};
use manifest_spec::sink::SinkTarget;

use self::report::Report;
use self::routing::Routing;
use super::choice;
use super::collect::{Bell, Collector, Pipes, Policy, Sources};
use super::route::{Counters, Instance, Wanted};
use super::shape::{Redactor, Settings};
use super::sink::Surroundings;
use super::wire::{self, AGAIN, Assignment, IDLE, Order, PROGRAM, Word};
use crate::aside::start::{OWN, Starter};
use crate::clock::since_epoch;

/// How long there is nothing to do before it ends.
const IDLENESS: Duration = Duration::from_secs(60);
/// What the program gets to write more in, before that is looked at: a piece of some size costs
/// both sides less than many small ones.
const NAP: Duration = Duration::from_micros(400);
/// How long sinks get to take what is left when nobody will come back for it.
const ALONE: Duration = Duration::from_secs(5);

/// Be a logger, if that is what this process was started as. The answer is its exit code.
pub fn run_if_meant(mut arguments: impl Iterator<Item = String>) -> Option<u8> {
    if arguments.next()? != PROGRAM {
        return None;
    }
    let count = arguments.next().and_then(|count| count.parse().ok());
    let run = arguments.next();
    Some(match (count, run) {
        (Some(count), Some(run)) => match Logger::begin(count, Path::new(&run)) {
            Ok(logger) => logger.work().unwrap_or(1),
            Err(_) => 1,
        },
        _ => 2,
    })
}

/// See the module's text.
#[derive(Debug)]
struct Logger {
    run: PathBuf,
    assignment: Assignment,
    collector: Collector,
    bell: Rc<Bell>,
    /// The holder's line, to answer by.
    line: OwnedFd,
    /// Readable when an operator has changed the sinks.
    control: OwnedFd,
    sinks: Vec<Wanted>,
    counters: Arc<Counters>,
    routing: Option<Routing>,
    /// Used as long as no sinks are served, which tell of themselves.
    report: Report,
    boot_id: String,
    is_collected: bool,
    /// What the holder wants last.
    ending: Option<Order>,
    /// Held until the end: the log is this instance's.
    _lock: OwnedFd,
}

impl Logger {
    /// Take over what the holder has passed: the assignment, the log's lock, the line, three pipe
    /// ends for each stream, the control socket, and the log socket if there is one.
    fn begin(count: u32, run: &Path) -> io::Result<Logger> {
        let mut passed = process::take_passed(count)?.into_iter();
        process::close_all_on_exec()?;
        process::set_name(c"hostctl-logger")?;
        let missing = || io::Error::from(io::ErrorKind::InvalidInput);
        let mut next = || passed.next().ok_or_else(missing);
        let assignment = read(&File::from(next()?))?;
        let (lock, line) = (next()?, next()?);
        sign(&lock)?;
        let mut pipes = |number: usize| -> io::Result<Pipes> {
            let shown = assignment.shown.then(|| file::duplicate(file::standard()[number]));
            let (front, back) = (next()?, [next()?, next()?]);
            Ok(Pipes { front, back, shown: shown.transpose()? })
        };
        let streams = [pipes(1)?, pipes(2)?];
        let control = next()?;
        let socket = assignment.socket.then(&mut next).transpose()?;
        let bell = Rc::new(Bell::hang()?);
        let counters = Arc::new(Counters::default());
        let policy = Policy {
            bounds: assignment.bounds(),
            segment: assignment.bounds().segment(),
            full: assignment.full,
            synced: assignment.synced,
            clock: since_epoch,
            bell: Rc::clone(&bell),
            counters: Arc::clone(&counters),
        };
        let secrets = assignment.secrets.iter().map(|secret| &secret.0);
        let secrets = Redactor::new(secrets).map_err(io::Error::other)?;
        let sources = Sources { streams, socket, line: file::duplicate(line.as_fd())? };
        let resource = assignment.resource.clone();
        let boot_id = resource.boot_id.clone();
        let collector = Collector::open(
            run,
            &assignment.folder,
            resource,
            policy,
            Arc::new(Settings { secrets }),
            sources,
        )?;
        let sinks = wanted(&assignment);
        give_up_privileges(&sinks)?;
        let mut logger = Logger {
            run: run.to_owned(),
            assignment,
            collector,
            bell,
            line,
            control,
            sinks,
            counters,
            routing: None,
            report: Report::new(run),
            boot_id,
            is_collected: false,
            ending: None,
            _lock: lock,
        };
        logger.route()?;
        Ok(logger)
    }

    /// Have the sinks served, if there are any.
    fn route(&mut self) -> io::Result<()> {
        let (last, began) = self.collector.numbers();
        let instance = Instance {
            folder: self.assignment.folder.clone(),
            run: self.run.clone(),
            boot_id: self.boot_id.clone(),
            before: began.saturating_sub(1),
        };
        self.routing = match self.sinks.is_empty() {
            true => None,
            false => {
                let counters = Arc::clone(&self.counters);
                let around = self.surroundings();
                Some(Routing::start(instance, self.sinks.clone(), last, counters, around)?)
            }
        };
        Ok(())
    }

    /// What sinks need of the host.
    fn surroundings(&self) -> Surroundings {
        let Assignment { like, directories, .. } = &self.assignment;
        let starter = Starter { executable: OWN.into(), directories: directories.clone() };
        let programs = like.clone().map(|like| (starter, like));
        Surroundings { programs, ..Surroundings::of_host(since_epoch) }
    }

    /// Collect until nothing more can come; then ship what is left.
    fn work(mut self) -> io::Result<u8> {
        let mut idle_since = Instant::now();
        loop {
            if !self.choose()? {
                return Ok(self.make_way());
            }
            let busy = self.turn()?;
            if busy {
                idle_since = Instant::now();
                self.nap();
                continue;
            }
            if self.collector.is_over() && !self.is_collected {
                self.is_collected = true;
                // A holder that is gone need not know.
                let _ = wire::send(self.line.as_fd(), &Word::Collected);
            }
            if self.is_collected && (self.ending.is_some() || self.collector.is_alone()) {
                return self.finish();
            }
            if idle_since.elapsed() >= IDLENESS {
                if self.rest()? {
                    return Ok(IDLE);
                }
                idle_since = Instant::now();
            }
            self.wait(idle_since + IDLENESS)?;
        }
    }

    /// If an operator has changed the sinks, serve those that are wanted now; `false` if that takes
    /// privileges that this process has given up.
    fn choose(&mut self) -> io::Result<bool> {
        let mut changed = false;
        while datagram::discard(self.control.as_fd()).is_ok() {
            changed = true;
        }
        if !changed {
            return Ok(true);
        }
        let before = runs_programs(&self.sinks);
        self.sinks = wanted(&self.assignment);
        if runs_programs(&self.sinks) && !before {
            return Ok(false);
        }
        match &self.routing {
            Some(routing) => routing.want(self.sinks.clone()),
            None => self.route()?,
        }
        Ok(true)
    }

    /// Leave everything to the next logger.
    fn make_way(self) -> u8 {
        if let Some(routing) = self.routing {
            routing.stop();
            routing.join();
        }
        AGAIN
    }

    /// Take everything a step further; whether there was anything to do.
    fn turn(&mut self) -> io::Result<bool> {
        let mut orders = Vec::new();
        let busy = self.collector.turn(&mut orders)?;
        if let Some(order) = orders.pop() {
            self.ending = Some(order);
        }
        let (last, _) = self.collector.numbers();
        match &self.routing {
            Some(routing) => routing.pulse(last),
            None => self.report.look(&self.counters, last),
        }
        Ok(busy)
    }

    fn nap(&self) {
        if !self.collector.is_over() {
            std::thread::sleep(NAP);
        }
    }

    fn wait(&self, until: Instant) -> io::Result<()> {
        let report = self.report.deadline().filter(|_| self.routing.is_none());
        let deadlines = [self.collector.deadline(), report];
        let deadline = deadlines.into_iter().flatten().fold(until, Instant::min);
        let left = deadline.saturating_duration_since(Instant::now());
        let mut interests = self.collector.interests();
        interests.push(Interest { fd: self.control.as_fd(), write: false });
        wait(&interests, Some(left))?;
        Ok(())
    }

    /// Nothing has come for long: whether the sinks have everything, and this process is of no use
    /// until more comes.
    fn rest(&mut self) -> io::Result<bool> {
        if self.collector.deadline().is_some() {
            return Ok(false);
        }
        let Some(routing) = self.routing.take() else { return Ok(true) };
        routing.end();
        let mut interests = self.collector.interests();
        interests.push(Interest { fd: self.control.as_fd(), write: false });
        interests.push(Interest { fd: routing.done(), write: false });
        let ready = wait(&interests, Some(IDLENESS))?;
        let is_done = routing.is_done() && ready.iter().rev().skip(1).all(|ready| !ready);
        drop(interests);
        routing.stop();
        routing.join();
        if !is_done {
            self.route()?;
        }
        Ok(is_done)
    }

    /// Everything is collected: ship what is left, and go.
    fn finish(self) -> io::Result<u8> {
        let Logger { collector, routing, run, bell, line, ending, assignment, .. } = self;
        let is_alone = collector.is_alone();
        let (last, _) = collector.numbers();
        let is_told = collector.close()?;
        let mut left = Vec::new();
        if let Some(routing) = routing {
            routing.pulse(last);
            routing.end();
            let limit = (is_alone && assignment.awaited).then(|| Instant::now() + ALONE);
            if ending != Some(Order::GiveUp) {
                until_shipped(&routing, &bell, &line, limit)?;
            }
            routing.stop();
            left = routing.join();
        }
        // A holder that is gone need not know.
        let _ = wire::send(line.as_fd(), &Word::Left(left));
        if is_told {
            // What is left of it harms nobody: the next start begins anew.
            let _ = std::fs::remove_dir_all(&run);
        }
        Ok(0)
    }
}

/// Wait until every sink has everything, somebody asks for the end, or this time is over.
fn until_shipped(
    routing: &Routing,
    bell: &Bell,
    line: &OwnedFd,
    mut limit: Option<Instant>,
) -> io::Result<()> {
    let mut is_open = true;
    loop {
        if bell.is_hurried() {
            limit.get_or_insert_with(|| Instant::now() + ALONE);
        }
        if routing.is_done() || bell.was_rung() {
            return Ok(());
        }
        let left = limit.map(|limit| limit.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(());
        }
        let mut interests = vec![Interest { fd: routing.done(), write: false }];
        interests.extend(bell.source().map(|fd| Interest { fd, write: false }));
        if is_open {
            interests.push(Interest { fd: line.as_fd(), write: false });
        }
        wait(&interests, left)?;
        match host_sys::socket::receive(line.as_fd(), &mut vec![0; wire::LIMIT], false) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => is_open = false,
            Err(_) => {}
        }
    }
}

/// The sinks that the start brings with it, as operators have changed them.
fn wanted(assignment: &Assignment) -> Vec<Wanted> {
    choice::wanted_in(&assignment.folder, &assignment.sinks)
}

/// Keep what files of other users are written with, and nothing else that root has; a program that is
/// a sink may need more.
fn give_up_privileges(sinks: &[Wanted]) -> io::Result<()> {
    process::no_new_privileges()?;
    if creds::effective().0 == 0 && !runs_programs(sinks) {
        let kept = ["CAP_DAC_OVERRIDE".to_owned()];
        creds::limit_bounding_set(&kept)?;
        creds::set_capabilities(&kept)?;
    }
    Ok(())
}

fn runs_programs(sinks: &[Wanted]) -> bool {
    sinks.iter().any(|one| matches!(one.sink.to, SinkTarget::Exec(_)))
}

/// Write into the lock who is to be asked for it.
fn sign(lock: &OwnedFd) -> io::Result<()> {
    let lock = File::from(file::duplicate(lock.as_fd())?);
    // As wide as the longest number: the last one's digits are not to be seen behind it.
    lock.write_all_at(format!("{:<10}\n", process::pid()).as_bytes(), 0)
}

/// The assignment that is in a file.
fn read(file: &File) -> io::Result<Assignment> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(serde_json::from_slice(&bytes)?)
}
