//! The process that runs a program beside an instance.
//!
//! Invariant: standard input is the program's, standard error takes what it writes, standard output
//! is the line: an order comes by it, perhaps with a place for the program's standard output, news go
//! back, and its end asks for the program's. Killed with the one who started it, it takes the sandbox
//! along.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use host_sys::poll::Interest;
use host_sys::process::{self, Exit};
use host_sys::signal::number;
use host_sys::{Errno, file, socket};

use super::{Like, News, ORDER, OfPolicy, Order, VERSION, What};
use crate::clock::since_epoch;
use crate::failure::{self, Error};
use crate::keep::status::Ending;
use crate::lease::Held;
use crate::lease::claims::Claims;
use crate::lease::ledger::{Choice, Placement};
use crate::network::rules::OwnAddress;
use crate::plan::{Identity, Keeper, Plan, Settings, beside};
use crate::planning::{self, Planned};
use crate::run::{self, Finished, Output, RunError};
use crate::sandbox::seccomp;
use crate::supervise::{self, Companion, Wish};
use crate::uids;

/// What such a process is called: whoever is executed by this name is one.
pub const PROGRAM: &str = "hostctl-aside";

/// Be one, if that is what this process was started as. The answer is its exit code, which nobody
/// depends on.
pub fn run_if_meant(mut arguments: impl Iterator<Item = String>) -> Option<u8> {
    (arguments.next()? == PROGRAM).then(|| serve().map_or(1, |()| 0))
}

fn serve() -> std::io::Result<()> {
    process::die_with_parent()?;
    process::close_all_on_exec()?;
    let line = file::duplicate(file::standard()[1])?;
    // If the parent was gone before it could be died with, there is no greeting.
    let mut greeting = [0];
    let greeted = socket::receive(line.as_fd(), &mut greeting, true)?;
    let answers = greeted.and_then(|received| received.descriptors.into_iter().next());
    let mut text = String::new();
    let reader = File::from(file::duplicate(line.as_fd())?);
    BufReader::new(reader.take(ORDER)).read_line(&mut text)?;
    let order: Order = serde_json::from_str(&text)?;
    let mut line = Line { line, asked_to_end: false };
    let ending = match perform(&order, answers, &mut line) {
        Ok(finished) => ending_of(&finished),
        Err(error) => {
            let told = error.told();
            Ending::NotStarted { message: told.message, hint: told.hint }
        }
    };
    line.say(&News::Ended(ending));
    Ok(())
}

/// Plan, lease, run.
fn perform(
    order: &Order,
    answers: Option<OwnedFd>,
    line: &mut Line,
) -> Result<Finished, Box<Error>> {
    if order.v != VERSION {
        let message = "it was ordered by a hostctl of another version".to_owned();
        return Err(Box::new(Error::Unreachable(message, String::new())));
    }
    let (planned, held) = acquire(&order.what)?;
    let Planned { loaded, mut plan, facts, policy } = planned;
    if plan.identity == (Identity::Own { uid: None }) {
        let users = || std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let uid = uids::claim(&facts.directories.state, policy.uids, &plan.app, users)
            .map_err(Error::Uid)?;
        plan.identity = Identity::Own { uid: Some(uid) };
    }
    let output = match (&order.what, answers) {
        (What::Plugin { logged, .. }, Some(answers)) => {
            Output::Plugin { answers: Arc::new(answers), logged: *logged }
        }
        _ => Output::Beside,
    };
    run::run(&plan, held, &facts, &[], output, since_epoch, line).map_err(|error| {
        let place = failure::about(&error, &plan).map(|about| loaded.document.place(about));
        Box::new(Error::Run(error, place))
    })
}

/// The plan, and what it needs that the instance does not hold: an address, if its network is one of
/// its own.
fn acquire(what: &What) -> Result<(Planned, Held), Box<Error>> {
    let plan = |address| match what {
        What::Beside { like, command } => plan_beside(like, command, address),
        What::Plugin { of, .. } => plan_plugin(of),
    };
    let planned = plan(None)?;
    let offset = planned.loaded.manifest.port_offset;
    let directories = &planned.facts.directories;
    let claims = Claims::new(&own(&planned.plan), directories, offset, &planned.policy);
    let (found, held) = Held::acquire(&claims, Choice::Planned, directories, since_epoch)
        .map_err(|error| Error::Run(RunError::Lease(error), None))?;
    if found == (Placement { offset, address: None }) {
        return Ok((planned, held));
    }
    Ok((plan(found.address)?, held))
}

fn plan_beside(
    like: &Like,
    command: &[String],
    address: Option<OwnAddress>,
) -> Result<Planned, Box<Error>> {
    let mut planned = planning::plan(&like.source, settings(like, address)).map_err(Error::from)?;
    planned.plan = beside(planned.plan, command, process::pid());
    Ok(planned)
}

fn plan_plugin(of: &OfPolicy) -> Result<Planned, Box<Error>> {
    let settings = Settings {
        keeper: if of.kept { Keeper::Daemon } else { Keeper::Foreground },
        deployer: of.deployer.clone(),
        ..Settings::default()
    };
    let mut planned =
        planning::plan_policy(&of.source, &of.policy, settings).map_err(Error::from)?;
    // Of one policy several can run, one for each service.
    planned.plan.beside = Some(process::pid());
    Ok(planned)
}

/// The plan without what is the instance's and shared with it.
fn own(plan: &Plan) -> Plan {
    let service = format!("{}-beside-{}", plan.service, process::pid());
    Plan { service, grants: Vec::new(), ..plan.clone() }
}

fn settings(like: &Like, address: Option<OwnAddress>) -> Settings {
    Settings {
        service: Some(like.service.clone()),
        instance: like.instance,
        keeper: if like.kept { Keeper::Daemon } else { Keeper::Foreground },
        ports: like.ports.iter().map(|port| (port.name.clone(), port.number)).collect(),
        address,
        deployer: like.deployer.clone(),
        ..Settings::default()
    }
}

/// How a run ended, in the words of a status.
fn ending_of(finished: &Finished) -> Ending {
    let outcome = &finished.outcome;
    match (outcome.exit, outcome.denied) {
        _ if outcome.out_of_memory.is_some() => Ending::Oom,
        (Exit::Signal(number::SYS, _), Some(call)) => {
            let name = u32::try_from(call).ok().and_then(seccomp::name_of);
            let call = name.map_or_else(|| call.to_string(), |name| format!("{name}(2)"));
            Ending::Denied { call }
        }
        _ if outcome.killed => Ending::Killed,
        (exit, _) => Ending::of(exit),
    }
}

/// The line to the one who wanted it, in the loop that watches the program.
struct Line {
    line: OwnedFd,
    asked_to_end: bool,
}

impl Line {
    fn say(&self, news: &News) {
        let Ok(mut text) = serde_json::to_vec(news) else { return };
        text.push(b'\n');
        // A few bytes: they fit, or nobody reads any more.
        if let Ok(line) = file::duplicate(self.line.as_fd()) {
            let _ = File::from(line).write_all(&text);
        }
    }
}

impl Companion for Line {
    fn sources(&self) -> Vec<Interest<'_>> {
        // Nobody says anything after the order, so that it is closed is all there is to hear.
        match self.asked_to_end {
            true => Vec::new(),
            false => vec![Interest { fd: self.line.as_fd(), write: false }],
        }
    }

    fn tend(&mut self, ready: &[usize]) -> Vec<Wish> {
        if ready.is_empty() {
            return Vec::new();
        }
        match file::read(self.line.as_fd(), &mut [0; 64]) {
            Ok(1..) | Err(Errno::EAGAIN | Errno::EINTR) => Vec::new(),
            Ok(_) | Err(_) => {
                self.asked_to_end = true;
                vec![Wish::Stop { signal: None }]
            }
        }
    }

    fn hear(&mut self, news: supervise::News) {
        if matches!(news, supervise::News::Started) {
            self.say(&News::Started);
        }
    }
}
