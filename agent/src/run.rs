//! The spine of `hostctl run`: the stages in their order, undone last-in first-out.
//!
//! ```text
//! Plan ──acquire──▶ leases, uid, data ──build──▶ Vec<Step> ──pin──▶ Vec<Step>′ ──spawn──▶ Sandbox ──watch──▶ Outcome
//! ```
//!
//! Invariant: whatever stage fails, what the earlier ones did is undone before the error is told,
//! and a run that ended leaves nothing but the data and the logs of the app. Never prints.

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use host_sys::{Errno, file};
use manifest_spec::policy::HostPolicy;

use crate::aside::Like;
use crate::data::{self, DataError};
use crate::lease::claims::Claims;
use crate::lease::ledger::{Choice, Placement};
use crate::lease::{Held, LeaseError};
use crate::logs::holder::{Ends, Wishes};
use crate::logs::read::when;
use crate::logs::wire::{AgentRecord, Undelivered};
use crate::logs::{Holder, LogError, Tail, choice, crash};
use crate::network::boundary::{Boundary, BoundaryError};
use crate::plan::{HostFacts, Plan};
use crate::sandbox::message::Failure;
use crate::sandbox::step::Step;
use crate::sandbox::{self, StandardStreams, Surroundings, Unfit};
use crate::supervise::{Companion, News, Options, Outcome, Supervisor, WatchError};

/// Why a run did not come to an end of its own.
#[derive(Debug)]
pub enum RunError {
    /// The kernel is too old for the mount API of 5.12.
    OldKernel((u32, u32)),
    /// A standard stream is a directory, through which a program could leave the sandbox
    /// (CVE-2024-21626): its number.
    StreamIsDirectory(i32),
    /// A standard stream is a socket that stays under its maker's rules: its number.
    StreamIsSocket(i32),
    /// What the app needs for itself is not to be had.
    Lease(LeaseError),
    /// A managed directory is not there.
    Data(DataError),
    /// What keeps it to its ports and destinations does not stand.
    Boundary(BoundaryError),
    /// There is nothing to keep its output by.
    Log(LogError),
    /// The first process could not be started: the step's name and what the kernel said.
    Spawn(String, Errno),
    /// A step failed: its number from 1, its name, the manifest key behind it, what happened.
    Step {
        /// Its place in the list, from 1.
        number: usize,
        /// Its name.
        name: String,
        /// Key in the manifest; empty if the step is hostctl's own.
        key: String,
        /// What happened.
        failure: Failure,
    },
    /// Somebody asked for the end before the program started.
    Stopped,
    /// The sandbox's first process ended without a word.
    Lost,
    /// A call of the supervisor itself failed.
    Kernel(Errno),
}

impl From<Errno> for RunError {
    fn from(errno: Errno) -> Self {
        RunError::Kernel(errno)
    }
}

/// A run that ended.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub outcome: Outcome,
    /// Sinks that have not got everything yet.
    pub undelivered: Vec<Undelivered>,
}

/// Where the program's streams lead.
#[derive(Debug, Clone)]
pub enum Output {
    /// To the caller's: the run is in the foreground.
    Caller {
        /// Leave Ctrl-C to the program.
        interactive: bool,
        /// How programs that are sinks are run, if any can be.
        like: Option<Box<Like>>,
    },
    /// To nobody's: it reads nothing, and what it writes is in its log.
    Kept {
        /// Shows the last lines of that.
        tail: Tail,
        /// The version of the app.
        version: Option<u64>,
        /// How programs that are sinks are run, if any can be.
        like: Option<Box<Like>>,
    },
    /// It reads this process's standard input, and writes all to its standard error: it is a program
    /// beside an instance ([`crate::aside`]).
    Beside,
    /// The same of a policy plugin, whose answers have a place of their own.
    Plugin {
        /// Takes its standard output.
        answers: Arc<OwnedFd>,
        /// Whether its standard error is a log.
        logged: bool,
    },
}

/// Lease what a plan needs for itself; `offset` is what it was resolved with. The answer tells
/// where it was leased: at another offset ([`Choice::Smallest`]) or with an address of its own the
/// plan must be made again.
///
/// # Errors
/// [`RunError::Lease`].
pub fn acquire(
    plan: &Plan,
    facts: &HostFacts,
    policy: &HostPolicy,
    offset: u16,
    choice: Choice,
    clock: fn() -> Duration,
) -> Result<(Placement, Held), RunError> {
    let claims = Claims::new(plan, &facts.directories, offset, policy);
    Held::acquire(&claims, choice, &facts.directories, clock).map_err(RunError::Lease)
}

/// Run one planned instance to its end. What it holds is given back then. `sockets` are those that
/// the plan was resolved with; `companion` works beside it and hears how it goes.
///
/// # Errors
/// When it could not be started, or its end is unknown.
pub fn run(
    plan: &Plan,
    mut held: Held,
    facts: &HostFacts,
    sockets: &[OwnedFd],
    output: Output,
    clock: fn() -> Duration,
    companion: &mut dyn Companion,
) -> Result<Finished, RunError> {
    if !facts.mount_api {
        return Err(RunError::OldKernel(facts.kernel));
    }
    let nothing = file::open_null()?;
    let (standard, interactive) = match &output {
        Output::Caller { interactive, .. } => (file::standard(), *interactive),
        Output::Kept { .. } => ([nothing.as_fd(); 3], false),
        Output::Beside => {
            let [input, _, error] = file::standard();
            ([input, error, error], false)
        }
        Output::Plugin { answers, .. } => {
            let [input, _, error] = file::standard();
            ([input, answers.as_fd(), error], false)
        }
    };
    refuse_streams(standard)?;

    let (mut logs, ends) = collect(plan, facts, &output, clock)?.unzip();
    let plan = &*logging_to(plan, logs.as_ref());
    let data = data::prepare(plan, &facts.directories).map_err(RunError::Data)?;
    let mut steps = sandbox::build(plan, facts);
    let _pinned = sandbox::pin(&mut steps, &plan.denied, plan.deployer.as_ref())
        .map_err(|failure| explain(WatchError::Step(failure), &steps))?;
    let mut waiting = || companion.hear(News::LookingUp);
    let mut boundary = Boundary::raise(plan, facts, &mut waiting).map_err(RunError::Boundary)?;
    let supervisor = Supervisor::new()?;
    let streams = match (&ends, &output) {
        (Some(ends), Output::Plugin { .. }) => [standard[0], standard[1], ends.error.as_fd()],
        (Some(ends), _) => [standard[0], ends.output.as_fd(), ends.error.as_fd()],
        (None, _) => standard,
    };
    match &output {
        // In the foreground without a log they are the caller's.
        Output::Caller { .. } if ends.is_none() => {}
        Output::Caller { .. } | Output::Kept { .. } => _ = give(plan, &streams[1..]),
        Output::Beside | Output::Plugin { .. } => _ = give(plan, &streams),
    }
    let options = Options {
        grace: plan.grace,
        stop_signal: plan.stop_signal,
        interactive,
        standard: StandardStreams::of(streams),
    };
    let around = Surroundings {
        standard: options.standard,
        streams,
        cgroup: boundary.cgroup(),
        network: boundary.network(),
        given: sockets,
        shared: plan.shares_sockets,
    };
    let sandbox = sandbox::spawn(&steps, around).map_err(|errno| {
        let name = steps.first().map(ToString::to_string).unwrap_or_default();
        RunError::Spawn(name, errno)
    })?;
    boundary.inhabited();
    let cgroup = boundary.cgroup_path().map(ToOwned::to_owned);
    companion.hear(News::Born { init: sandbox.init.pid, cgroup });
    // Should this fail, a kill of hostctl only shows the leases as free a moment before the kernel
    // has ended the sandbox.
    let _ = held.guard(sandbox.init.pid);
    // Only the program holds the writing ends now: when it closes them, we see the end.
    drop(ends);
    let watched =
        supervisor.watch(sandbox, standard, logs.as_mut(), &mut boundary, options, companion);
    drop(boundary);
    let undelivered = conclude(logs, &output, plan, watched.as_ref().ok());
    let outcome = watched.map_err(|error| explain(error, &steps))?;
    data.keep();
    drop(held);
    Ok(Finished { outcome, undelivered })
}

/// Let pipes of ours belong to the program's user, so that it can open them again by a name such as
/// /dev/stdout, as servers that log there do. One that can't works all the same where it is held.
///
/// # Errors
/// What fchownat(2) says.
pub fn give(plan: &Plan, pipes: &[BorrowedFd<'_>]) -> host_sys::Result<()> {
    let (uid, gid) = plan.identity.ids();
    pipes.iter().try_for_each(|pipe| file::change_owner(*pipe, uid, gid))
}

fn refuse_streams(standard: [BorrowedFd<'_>; 3]) -> Result<(), RunError> {
    for (number, fd) in (0..).zip(standard) {
        match sandbox::unfit(fd) {
            Some(Unfit::Socket) => return Err(RunError::StreamIsSocket(number)),
            Some(Unfit::Directory) => return Err(RunError::StreamIsDirectory(number)),
            None => {}
        }
    }
    Ok(())
}

/// What the output goes through; nothing in the foreground without sinks: the program then has the
/// caller's streams.
fn collect(
    plan: &Plan,
    facts: &HostFacts,
    output: &Output,
    clock: fn() -> Duration,
) -> Result<Option<(Holder, Ends)>, RunError> {
    let (version, like) = match output {
        Output::Beside | Output::Plugin { logged: false, .. } => return Ok(None),
        Output::Plugin { logged: true, .. } => (None, &None),
        Output::Caller { .. } if !has_sinks(plan, facts) => return Ok(None),
        Output::Caller { like, .. } => (None, like),
        Output::Kept { version, like, .. } => (*version, like),
    };
    let wishes = Wishes {
        version,
        like: like.as_deref().cloned(),
        shown: matches!(output, Output::Caller { .. }),
        synced: facts.log_sync,
        now: clock(),
    };
    let (holder, ends) = Holder::new(plan, &facts.directories, wishes).map_err(RunError::Log)?;
    if let Output::Kept { tail, .. } = output {
        let (folder, started) = holder.log();
        tail.follow(folder, started);
    }
    Ok(Some((holder, ends)))
}

/// Whether records of a run in the foreground go anywhere.
fn has_sinks(plan: &Plan, facts: &HostFacts) -> bool {
    let changes = choice::changes(&facts.directories, &plan.app).unwrap_or_default();
    !choice::wanted(&plan.logs.sinks, &changes).is_empty()
}

/// The plan with the log socket that there is: a second run under one name has another.
fn logging_to<'a>(plan: &'a Plan, logs: Option<&Holder>) -> Cow<'a, Plan> {
    let socket = logs.map(Holder::socket);
    if plan.log_socket == socket {
        return Cow::Borrowed(plan);
    }
    Cow::Owned(Plan { log_socket: socket, ..plan.clone() })
}

/// The program has ended: everything it wrote goes into its log, and that it crashed, if so; and from
/// there to the sinks.
fn conclude(
    logs: Option<Holder>,
    output: &Output,
    plan: &Plan,
    outcome: Option<&Outcome>,
) -> Vec<Undelivered> {
    let Some(mut logs) = logs else { return Vec::new() };
    logs.collect();
    if let Some(record) = outcome.and_then(|outcome| crashed(&logs, plan, outcome)) {
        logs.say(record);
    }
    if let Output::Kept { tail, .. } = output {
        tail.settle();
    }
    logs.finish()
}

/// The record of a crash, with the last lines that are in the log.
fn crashed(logs: &Holder, plan: &Plan, outcome: &Outcome) -> Option<AgentRecord> {
    let (folder, started) = logs.log();
    let tail = Tail::default();
    tail.follow(folder, started);
    let since = Duration::from_nanos(when::recorded(started)?);
    crash::of(plan, outcome, since, &|| tail.lines().into_iter().map(|line| line.text).collect())
}

fn explain(error: WatchError, steps: &[Step]) -> RunError {
    match error {
        WatchError::Stopped => RunError::Stopped,
        WatchError::Lost => RunError::Lost,
        WatchError::Kernel(errno) => RunError::Kernel(errno),
        WatchError::Step(failure) => {
            let step = steps.get(usize::from(failure.step));
            let key = match step {
                Some(Step::Bind(bind)) => bind.key.clone(),
                Some(Step::Listen(listen)) => listen.key.clone(),
                Some(Step::Start(_)) => "run".to_owned(),
                _ => String::new(),
            };
            RunError::Step {
                number: usize::from(failure.step) + 1,
                name: step.map(ToString::to_string).unwrap_or_default(),
                key,
                failure,
            }
        }
    }
}
