//! Holds what the output of a running instance goes through, and has a logger collect it.
//!
//! Owns the pipes behind the program's standard output and error, the log socket, and the life of the
//! logger. Invariant: the pipes' ends to be read are open as long as the program runs, so it never
//! gets SIGPIPE, and what it writes is in them or in the log, whatever becomes of its logger. There is
//! a logger when there is something to collect. Never reads a byte of the program's, and never waits
//! but for the end.
//!
//! | module | owns |
//! | --- | --- |
//! | [`place`] | whose log it is |
//! | [`pipes`] | what is between the program and its log |
//! | [`error`] | why there can be no log |

mod error;
mod pipes;
mod place;

pub(crate) use self::place::dismiss;

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use host_sys::poll::{Interest, wait};
use host_sys::process::{self, Child, Exit};
use host_sys::signal::{Signals, number};
use host_sys::{Errno, Result, datagram, file, socket};
use manifest_spec::log::Resource;
use manifest_spec::log::metrics::{PipelineMetrics, SinkMetrics};

pub use self::error::LogError;
use self::pipes::{Pipes, is_quiet, pipes};
use self::place::Place;
use super::choice;
use super::collect;
use super::route::METRICS;
use super::shape::Stream;
use super::wire::{self, AGAIN, AgentRecord, Assignment, IDLE, Order, PROGRAM, Undelivered, Word};
use crate::aside::Like;
use crate::plan::facts::variable;
use crate::plan::{Directories, Plan};

/// The program of a logger: the one that runs now, whatever lies at its path by then.
const OWN: &CStr = c"/proc/self/exe";
/// The log socket in the instance's folder below RUN.
pub const SOCKET: &str = "socket";
/// The socket there on which the logger is told that its sinks were changed.
pub const CONTROL: &str = "control";
/// A logger that ends sooner has failed.
const SOON: Duration = Duration::from_secs(10);
/// How long the first pause is after a logger failed, and the longest one; each is twice as long as
/// the one before.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(5)];
/// The longest pause after a logger was killed, which says nothing about the next one.
const KILLED: Duration = Duration::from_millis(100);
/// How long the last output of an instance in the background may take into the log.
const LAST: Duration = Duration::from_secs(10);
/// How long sinks get to take anything of what is left when somebody waits for it.
const AWAITED: Duration = Duration::from_secs(5);
/// How long a logger may take to break off.
const BROKEN_OFF: Duration = Duration::from_secs(3);

/// What is to be collected, and for whom.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// How programs that are sinks are run, if any can be.
    pub like: Option<Like>,
    /// The app's version, where it was deployed.
    pub version: Option<u64>,
    /// Whether what is written is shown on this process's standard streams.
    pub shown: bool,
    /// Whether what is written is brought to the disk.
    pub synced: bool,
    /// Time since 1970.
    pub now: Duration,
}

/// The program's ends of the pipes: standard output and error.
#[derive(Debug)]
pub struct Ends {
    /// Standard output.
    pub output: OwnedFd,
    /// Standard error.
    pub error: OwnedFd,
}

/// A logger that was started.
#[derive(Debug)]
struct Running {
    child: Child,
    since: Instant,
}

/// How waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    /// What was waited for is so.
    ItIs,
    /// It is not so after the time that it got.
    InVain,
    /// Somebody does not want to wait.
    Unwanted,
}

/// What a place in the list of sources is.
#[derive(Debug, Clone, Copy)]
enum Source {
    Logger,
    Line,
    Input,
}

/// See the module's text.
#[derive(Debug)]
pub struct Holder {
    place: Place,
    started: String,
    assignment: OwnedFd,
    /// Both ends: what is said to a logger that was killed is still there for the next.
    line: [OwnedFd; 2],
    pipes: [Pipes; 2],
    socket: OwnedFd,
    /// It is held here, so that a change wakes a logger also where none runs.
    control: OwnedFd,
    shown: bool,
    logger: Option<Running>,
    /// No logger is started before.
    not_before: Option<Instant>,
    failures: u32,
    /// There is something to ship, perhaps of an earlier start.
    has_sinks: bool,
    is_collected: bool,
    /// Nothing more comes.
    is_ending: bool,
    /// A logger has ended because there was nothing more to do.
    is_finished: bool,
    left: Vec<Undelivered>,
}

impl Holder {
    /// Make what the output of a planned instance goes through; the program's ends.
    ///
    /// # Errors
    /// Why there can be no log.
    pub fn new(
        plan: &Plan,
        directories: &Directories,
        wishes: Wishes,
    ) -> std::result::Result<(Holder, Ends), LogError> {
        super::file::check(&plan.logs)?;
        let place = Place::take(directories, &plan.app, &plan.service, plan.instance)?;
        let failed = |error| LogError::File(place.run_path.clone(), error);
        collect::renew(&place.run_path).map_err(failed)?;
        let socket = bound(&place, SOCKET).map_err(failed)?;
        let control = bound(&place, CONTROL).map_err(failed)?;
        let wanted = choice::wanted_in(&place.folder, &plan.logs.sinks);
        let resource = resource(plan, place.number, &wishes);
        let mut assignment =
            Assignment::new(resource, place.folder.clone(), &plan.logs, directories);
        assignment.like = wishes.like;
        assignment.shown = wishes.shown;
        assignment.awaited = wishes.shown;
        assignment.synced = wishes.synced;
        assignment.socket = true;
        let started = assignment.resource.started.clone();
        let text = serde_json::to_vec(&assignment).map_err(|error| failed(error.into()))?;
        let assignment = file::sealed(c"assignment", &text)?;
        let line = socket::pair()?;
        datagram::note_arrivals(line.1.as_fd())?;
        let (output, of_output) = pipes(Stream::Output)?;
        let (error, of_error) = pipes(Stream::Error)?;
        let holder = Holder {
            place,
            started,
            assignment,
            line: line.into(),
            pipes: [output, error],
            socket,
            control,
            shown: wishes.shown,
            logger: None,
            not_before: None,
            failures: 0,
            has_sinks: !wanted.is_empty(),
            is_collected: false,
            is_ending: false,
            is_finished: false,
            left: Vec::new(),
        };
        Ok((holder, Ends { output: of_output, error: of_error }))
    }

    /// The log's folder, and when this start of the instance was, as its records have it.
    pub fn log(&self) -> (&Path, &str) {
        (&self.place.folder, &self.started)
    }

    /// The log socket.
    pub fn socket(&self) -> PathBuf {
        self.place.run_path.join(SOCKET)
    }

    /// What to wait for.
    pub fn sources(&self) -> Vec<BorrowedFd<'_>> {
        self.list().into_iter().map(|(_, fd)| fd).collect()
    }

    /// When a logger may be started again.
    pub fn deadline(&self) -> Option<Instant> {
        self.not_before
    }

    /// The sources at these places are ready, or the deadline has come.
    pub fn tend(&mut self, ready: &[usize]) {
        let sources: Vec<Source> = self.list().into_iter().map(|(source, _)| source).collect();
        for source in ready.iter().filter_map(|place| sources.get(*place)) {
            match source {
                Source::Logger => self.bury(),
                Source::Line => self.hear(),
                Source::Input => {}
            }
        }
        self.see_to_it();
    }

    /// Add a record of the agent's own.
    pub fn say(&mut self, record: AgentRecord) {
        // One that is too long, or too many, is not worth a program's life.
        let _ = wire::send(self.line[0].as_fd(), &Order::Say(record));
        self.see_to_it();
    }

    /// Nobody can write any more: wait until everything is in the log.
    pub fn collect(&mut self) {
        // In the foreground whoever reads decides how long it takes, and whoever runs it.
        let end = (!self.shown).then(|| Instant::now() + LAST);
        let is_in =
            |holder: &Holder| holder.is_collected || (holder.logger.is_none() && holder.is_empty());
        self.until(end, is_in);
    }

    /// Nothing more comes: let the logger ship what is left. In the foreground its sinks get a
    /// moment; how many records then wait for which.
    pub fn finish(mut self) -> Vec<Undelivered> {
        if self.logger.is_none() && self.is_empty() {
            self.clear();
            return self.left;
        }
        self.is_ending = true;
        self.not_before = None;
        let _ = wire::send(self.line[0].as_fd(), &Order::Finish);
        self.see_to_it();
        if !self.shown {
            return Vec::new();
        }
        let has_ended = |holder: &Holder| holder.is_finished;
        let mut shipped = self.shipped();
        loop {
            match self.until(Some(Instant::now() + AWAITED), has_ended) {
                Waited::ItIs => return self.left,
                Waited::InVain if self.shipped() > shipped => shipped = self.shipped(),
                Waited::InVain | Waited::Unwanted => break,
            }
        }
        let _ = wire::send(self.line[0].as_fd(), &Order::GiveUp);
        self.until(Some(Instant::now() + BROKEN_OFF), has_ended);
        self.left
    }

    /// How many records sinks were done with when the logger told last.
    fn shipped(&self) -> u64 {
        let text = std::fs::read(self.place.run_path.join(METRICS)).unwrap_or_default();
        let metrics = serde_json::from_slice::<PipelineMetrics>(&text).unwrap_or_default();
        let done = |sink: &SinkMetrics| sink.delivered + sink.filtered + sink.missed + sink.parked;
        metrics.sinks.iter().map(done).sum()
    }

    /// Wait until something is so, the time is over, or somebody wants to go.
    fn until(&mut self, end: Option<Instant>, is_so: impl Fn(&Holder) -> bool) -> Waited {
        // They are blocked already, and would else be waiting for nobody.
        let signals = [number::INT, number::TERM, number::HUP];
        let signals = self.shown.then(|| Signals::block(&signals).ok()).flatten();
        self.see_to_it();
        loop {
            if is_so(self) {
                return Waited::ItIs;
            }
            let now = Instant::now();
            if end.is_some_and(|end| end <= now) {
                return Waited::InVain;
            }
            let next = [end, self.deadline()].into_iter().flatten().min();
            let mut fds = self.sources();
            fds.extend(signals.iter().map(AsFd::as_fd));
            let interests: Vec<_> =
                fds.iter().map(|fd| Interest { fd: *fd, write: false }).collect();
            let left = next.map(|next| next.saturating_duration_since(now));
            let Ok(ready) = wait(&interests, left) else { return Waited::InVain };
            let ready: Vec<usize> = (0..).zip(ready).filter(|(_, r)| *r).map(|(n, _)| n).collect();
            drop(interests);
            if let Some(signals) = &signals
                && matches!(signals.next(), Ok(Some(_)))
            {
                return Waited::Unwanted;
            }
            self.tend(&ready);
        }
    }

    fn list(&self) -> Vec<(Source, BorrowedFd<'_>)> {
        match &self.logger {
            Some(logger) => {
                vec![(Source::Logger, logger.child.pidfd()), (Source::Line, self.line[0].as_fd())]
            }
            None if self.not_before.is_some() => Vec::new(),
            None => {
                let open = self.pipes.iter().filter(|pipes| !pipes.is_ended);
                let inputs = open.map(|pipes| &pipes.front).chain([&self.socket, &self.control]);
                inputs.map(|input| (Source::Input, input.as_fd())).collect()
            }
        }
    }

    /// Have a logger where there is something for one to do.
    fn see_to_it(&mut self) {
        if self.logger.is_some() {
            return;
        }
        if let Some(not_before) = self.not_before {
            if Instant::now() < not_before {
                return;
            }
            self.not_before = None;
        }
        for pipes in &mut self.pipes {
            pipes.is_ended |= pipes.has_ended(&self.place.run_path);
        }
        let has_to_ship = (self.has_sinks || self.is_ending) && !self.is_finished;
        if self.is_empty() && !has_to_ship {
            return;
        }
        if self.is_ending && is_quiet(&self.line[1]) {
            // The last logger has heard it, and was killed.
            let _ = wire::send(self.line[0].as_fd(), &Order::Finish);
        }
        match self.start() {
            Ok(child) => {
                self.logger = Some(Running { child, since: Instant::now() });
                self.has_sinks = false;
            }
            Err(_) => self.pause(PAUSES[1]),
        }
    }

    /// Whether there is nothing for a logger to do.
    fn is_empty(&self) -> bool {
        let run = &self.place.run_path;
        is_quiet(&self.line[1])
            && is_quiet(&self.socket)
            && is_quiet(&self.control)
            && self.pipes.iter().all(|pipes| pipes.is_ended || pipes.is_empty(run))
    }

    fn start(&self) -> Result<Child> {
        let standard = file::standard();
        let null = file::open_null()?;
        let streams = match self.shown {
            true => [null.as_fd(), standard[1], standard[2]],
            false => [null.as_fd(), null.as_fd(), standard[2]],
        };
        let mut passed =
            vec![self.assignment.as_fd(), self.place.lock.as_fd(), self.line[1].as_fd()];
        for Pipes { front, back, .. } in &self.pipes {
            passed.extend([front.as_fd(), back[0].as_fd(), back[1].as_fd()]);
        }
        passed.extend([self.control.as_fd(), self.socket.as_fd()]);
        let count = passed.len().to_string();
        let word = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::EINVAL);
        let run = word(self.place.run_path.as_os_str().as_bytes())?;
        let arguments = [word(PROGRAM.as_bytes())?, word(count.as_bytes())?, run];
        let pid = process::start(OWN, &arguments, &environment(), streams, &passed)?;
        Child::of(pid)
    }

    /// The logger has ended.
    fn bury(&mut self) {
        self.hear();
        let Some(logger) = self.logger.take() else { return };
        let lived = logger.since.elapsed();
        match logger.child.wait() {
            Ok(Exit::Code(code @ (0 | IDLE))) => {
                self.is_finished = code == 0;
                self.failures = 0;
            }
            Ok(Exit::Code(AGAIN)) => {
                self.has_sinks = true;
                self.failures = 0;
            }
            ended => {
                self.failures = if lived >= SOON { 1 } else { self.failures.saturating_add(1) };
                let killed = matches!(ended, Ok(Exit::Signal(number::KILL | number::TERM, _)));
                let most = if killed { KILLED } else { PAUSES[1] };
                let pause = PAUSES[0] * 2_u32.saturating_pow(self.failures.min(16) - 1);
                self.pause(pause.min(most));
            }
        }
    }

    fn pause(&mut self, pause: Duration) {
        self.not_before = Some(Instant::now() + pause);
    }

    /// Take in what a logger has said.
    fn hear(&mut self) {
        let mut buffer = vec![0; wire::LIMIT];
        while let Ok(Some(received)) = socket::receive(self.line[0].as_fd(), &mut buffer, false) {
            match serde_json::from_slice(&buffer[..received.length]) {
                Ok(Word::Collected) => self.is_collected = true,
                Ok(Word::Left(left)) => self.left = left,
                Err(_) => {}
            }
        }
    }

    /// Leave nothing in RUN.
    fn clear(&self) {
        if collect::forget(&self.place.run_path).is_ok() {
            let _ = std::fs::remove_file(self.socket());
            for name in [CONTROL, METRICS] {
                let _ = std::fs::remove_file(self.place.run_path.join(name));
            }
            // Not empty means that something was lost that the next start has to say.
            let _ = std::fs::remove_dir(&self.place.run_path);
        }
    }
}

/// A socket in the folder below RUN: for what the program sends to syslog and the journal, who is
/// another user and sees this one file of the folder; or for whoever has changed its sinks.
fn bound(place: &Place, name: &str) -> io::Result<OwnedFd> {
    use std::os::unix::fs::PermissionsExt;
    // By the folder's descriptor: short enough for a socket's address (unix(7): 108 bytes).
    let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", place.run.as_raw_fd()));
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = datagram::bound_at(&path)?;
    datagram::note_arrivals(socket.as_fd())?;
    let mode = if name == SOCKET { 0o666 } else { 0o600 };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
    Ok(socket)
}

/// A second run under one name has its numbers of records, too, to itself.
fn resource(plan: &Plan, instance: u32, wishes: &Wishes) -> Resource {
    let text = |path| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    Resource {
        app: plan.app.clone(),
        service: plan.service.clone(),
        instance,
        version: wishes.version,
        host: text("/proc/sys/kernel/hostname"),
        boot_id: text("/proc/sys/kernel/random/boot_id"),
        started: super::stamp::precisely(wishes.now),
    }
}

/// What a logger has of its holder's environment: nothing that an app could see.
fn environment() -> Vec<CString> {
    let own = ["PATH", "HOME"].map(|name| Some(format!("{name}={}", variable(name)?)));
    own.into_iter().flatten().filter_map(|pair| CString::new(pair).ok()).collect()
}
