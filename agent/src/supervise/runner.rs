//! Turns what the kernel says into events, and actions into what the kernel does.
//!
//! Invariant: one thread, one loop, one place that waits. Process 1 is held by its pidfd from its
//! first instant to its last.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use host_sys::poll::{Interest, wait};
use host_sys::process::Exit;
use host_sys::signal::{Signals, number};
use host_sys::{Errno, Result};

use super::state::{Action, Event, State};
use super::terminal::{Side, Terminal};
use crate::cgroup::OutOfMemory;
use crate::logs::Capture;
use crate::network::boundary::Boundary;
use crate::sandbox::message::{Failure, Order, Report};
use crate::sandbox::{Sandbox, StandardStreams};

/// Signals a supervisor takes as events.
const HANDLED: [i32; 7] = [
    number::HUP,
    number::INT,
    number::QUIT,
    number::TERM,
    number::USR1,
    number::USR2,
    number::WINCH,
];

/// How to watch.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Time between the request to stop and the end by force.
    pub grace: Duration,
    /// What the program gets where hostctl itself was asked to end.
    pub stop_signal: i32,
    /// Leave Ctrl-C to the program.
    pub interactive: bool,
    /// Which standard streams are terminals.
    pub standard: StandardStreams,
}

/// Something worth telling the person who watches, as it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Host names are being looked up, which takes its time.
    LookingUp,
    /// The program was asked to end and gets this long.
    Stopping(i32, Duration),
    /// The program has ended; other processes of it still run and were asked to end.
    Leftovers,
    /// The time is up: everything is ended by force.
    Killing,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How the program ended.
    pub exit: Exit,
    /// The last system call it was refused, if any was fatal.
    pub denied: Option<i32>,
    /// Somebody asked for the end.
    pub stopped: bool,
    /// It was ended by force.
    pub killed: bool,
    /// The kernel ended something of it for want of memory.
    pub out_of_memory: Option<OutOfMemory>,
}

/// Log files that missed records, and how many.
pub type Losses = Vec<(std::path::PathBuf, u64)>;

/// Why there is no outcome.
#[derive(Debug)]
pub enum WatchError {
    /// A step failed: nothing was started.
    Step(Failure),
    /// Process 1 ended without a word: somebody killed it.
    Lost,
    /// Somebody asked for the end before the program started.
    Stopped,
    /// Watching itself failed.
    Kernel(Errno),
}

impl From<Errno> for WatchError {
    fn from(errno: Errno) -> Self {
        WatchError::Kernel(errno)
    }
}

/// Signals held back from before the sandbox is started until its end.
#[derive(Debug)]
pub struct Supervisor {
    signals: Signals,
}

impl Supervisor {
    /// Take signals as events from here on, so that none ends hostctl between starting a sandbox
    /// and watching it.
    ///
    /// # Errors
    /// What signalfd(2) says.
    pub fn new() -> Result<Self> {
        Ok(Supervisor { signals: Signals::block(&HANDLED)? })
    }

    /// Watch a sandbox to its end.
    ///
    /// # Errors
    /// When a step failed, or nothing can be known of the program's end.
    pub fn watch(
        self,
        sandbox: Sandbox,
        streams: [BorrowedFd<'_>; 3],
        capture: Option<Capture>,
        boundary: &mut Boundary,
        options: Options,
        notify: &mut dyn FnMut(Notice),
    ) -> std::result::Result<(Outcome, Losses), WatchError> {
        let mut watch = Watch {
            signals: self.signals,
            sandbox,
            streams,
            options,
            notify,
            capture,
            boundary,
            terminal: None,
            state: State::Starting,
            deadline: None,
            events: VecDeque::new(),
            line_open: true,
            failure: None,
            exit: None,
            denied: None,
            stopped: false,
            killed: false,
        };
        let end = watch.until_over();
        if end.is_err() {
            // Whatever went wrong here must not leave the program running unwatched.
            let _ = watch.sandbox.init.signal(number::KILL);
            let _ = watch.sandbox.init.wait();
        }
        if let Some(terminal) = watch.terminal.take() {
            terminal.finish();
        }
        let losses = watch.capture.take().map(Capture::finish).unwrap_or_default();
        end?;
        watch.outcome().map(|outcome| (outcome, losses))
    }
}

/// A run being watched.
struct Watch<'a> {
    signals: Signals,
    sandbox: Sandbox,
    streams: [BorrowedFd<'a>; 3],
    options: Options,
    notify: &'a mut dyn FnMut(Notice),
    capture: Option<Capture>,
    boundary: &'a mut Boundary,
    terminal: Option<Terminal>,
    state: State,
    deadline: Option<Instant>,
    events: VecDeque<Event>,
    line_open: bool,
    failure: Option<Failure>,
    exit: Option<Exit>,
    denied: Option<i32>,
    stopped: bool,
    killed: bool,
}

/// What became ready.
#[derive(Debug, Clone, Copy)]
enum Source {
    Line,
    Signals,
    Init,
    Terminal(Side),
    Capture(usize),
    Boundary(usize),
}

impl Watch<'_> {
    fn until_over(&mut self) -> Result<()> {
        while self.state != State::Over {
            let ready = self.ready()?;
            self.tend(&ready);
            // Whoever sends a signal may have seen what process 1 said before: that counts first.
            self.hear_all()?;
            for source in ready {
                self.take(source)?;
            }
            if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.deadline = None;
                self.events.push_back(Event::TimeUp);
            }
            while let Some(event) = self.events.pop_front() {
                self.act(event)?;
            }
        }
        Ok(())
    }

    /// Let the boundary take in what changed around it.
    fn tend(&mut self, ready: &[Source]) {
        let place = |source: &Source| match source {
            Source::Boundary(place) => Some(*place),
            _ => None,
        };
        let places: Vec<_> = ready.iter().filter_map(place).collect();
        let due = self.boundary.deadline().is_some_and(|at| at <= Instant::now());
        if due || !places.is_empty() {
            self.boundary.tend(&places);
        }
    }

    /// Wait until something happens.
    fn ready(&self) -> Result<Vec<Source>> {
        let mut list = vec![(Source::Signals, Interest { fd: self.signals.as_fd(), write: false })];
        if self.line_open {
            list.push((Source::Line, Interest { fd: self.sandbox.line.as_fd(), write: false }));
        } else {
            // Only when everything said has been heard does the end count.
            list.push((Source::Init, Interest { fd: self.sandbox.init.pidfd(), write: false }));
        }
        let terminal = self.terminal.iter().flat_map(Terminal::interests);
        list.extend(terminal.map(|(side, interest)| (Source::Terminal(side), interest)));
        let captured = self.capture.iter().flat_map(|capture| capture.sources().enumerate());
        list.extend(captured.filter_map(|(index, fd)| {
            fd.map(|fd| (Source::Capture(index), Interest { fd, write: false }))
        }));
        let upkeep = self.boundary.sources().enumerate();
        list.extend(
            upkeep.map(|(index, fd)| (Source::Boundary(index), Interest { fd, write: false })),
        );
        let next = self.deadline.into_iter().chain(self.boundary.deadline()).min();
        let timeout = next.map(|at| at.saturating_duration_since(Instant::now()));
        let interests: Vec<_> = list.iter().map(|(_, interest)| *interest).collect();
        let ready = wait(&interests, timeout)?;
        Ok(list.iter().zip(ready).filter(|(_, ready)| *ready).map(|((s, _), _)| *s).collect())
    }

    fn take(&mut self, source: Source) -> Result<()> {
        match source {
            Source::Line | Source::Boundary(_) => {}
            Source::Signals => {
                while let Some(signal) = self.signals.next()? {
                    self.signalled(signal);
                }
            }
            Source::Init => {
                self.sandbox.init.wait()?;
                self.events.push_back(Event::Gone);
            }
            Source::Terminal(side) => {
                let interrupted = self.terminal.as_mut().is_some_and(|t| t.transfer(side));
                if interrupted {
                    // The key itself reaches the program through its terminal, as SIGINT.
                    self.asked(number::INT, true);
                }
            }
            Source::Capture(index) => {
                if let Some(capture) = &mut self.capture {
                    capture.take(index);
                }
            }
        }
        Ok(())
    }

    /// Take in everything process 1 has said so far.
    fn hear_all(&mut self) -> Result<()> {
        while self.line_open {
            let line = [Interest { fd: self.sandbox.line.as_fd(), write: false }];
            if !wait(&line, Some(Duration::ZERO))?[0] {
                break;
            }
            self.hear()?;
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<()> {
        match self.sandbox.line.next_report() {
            Ok(Some(Report::Failed(failure))) => {
                self.failure = Some(failure);
                self.events.push_back(Event::Failed);
            }
            Ok(Some(Report::Terminal(master))) => {
                let (standard, interactive) = (self.options.standard, self.options.interactive);
                let terminal = Terminal::join(master, self.streams, standard, interactive)?;
                self.terminal = Some(terminal);
            }
            Ok(Some(Report::Ready)) => self.events.push_back(Event::Ready),
            Ok(Some(Report::Denied { call })) => self.denied = Some(call),
            Ok(Some(Report::Ended(exit))) => {
                self.exit = Some(exit);
                self.events.push_back(Event::ProgramEnded);
            }
            // A reset line means the same as a closed one: process 1 has gone.
            Ok(None) | Err(Errno::ECONNRESET) => self.line_open = false,
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    fn signalled(&mut self, signal: i32) {
        match signal {
            number::WINCH => {
                if let Some(terminal) = &self.terminal {
                    terminal.resize();
                }
            }
            number::INT | number::TERM => self.asked(signal, false),
            // With a terminal, hang-up says that the person has gone; without one it is the
            // custom to ask a server to reload.
            number::HUP if self.terminal.is_some() => self.asked(signal, false),
            signal => self.events.push_back(Event::Passed(signal)),
        }
    }

    /// Somebody wants the end. A second Ctrl-C insists; a second SIGTERM says nothing new.
    fn asked(&mut self, signal: i32, typed: bool) {
        let again = self.stopped && signal == number::INT;
        self.stopped = true;
        self.events.push_back(match (again, typed) {
            (true, _) => Event::StopInsisted,
            (false, true) => Event::StopAsked(0),
            (false, false) if signal == number::TERM => Event::StopAsked(self.options.stop_signal),
            (false, false) => Event::StopAsked(signal),
        });
    }

    fn act(&mut self, event: Event) -> Result<()> {
        let (state, action) = self.state.on(event);
        let closing = state == State::Closing && self.state != State::Closing;
        self.state = state;
        match action {
            Action::None => Ok(()),
            Action::Send(signal) => self.send(signal),
            Action::Stop(signal) => {
                (self.notify)(Notice::Stopping(signal, self.options.grace));
                self.deadline = Some(Instant::now() + self.options.grace);
                self.send(signal)
            }
            Action::StartClock => {
                self.deadline = Some(Instant::now() + self.options.grace);
                if closing && event == Event::ProgramEnded && self.leftovers() {
                    (self.notify)(Notice::Leftovers);
                }
                Ok(())
            }
            Action::Kill => {
                if self.exit.is_none() && self.state != State::Starting {
                    (self.notify)(Notice::Killing);
                }
                self.killed = true;
                match self.sandbox.init.signal(number::KILL) {
                    Err(Errno::ESRCH) => Ok(()),
                    result => result,
                }
            }
        }
    }

    /// Whether something of the sandbox still runs a moment after the program's end.
    fn leftovers(&self) -> bool {
        let end = [Interest { fd: self.sandbox.init.pidfd(), write: false }];
        wait(&end, Some(Duration::from_millis(100))).is_ok_and(|ready| !ready[0])
    }

    /// Have process 1 signal the program; 0 stands for a signal that took another way.
    fn send(&self, signal: i32) -> Result<()> {
        if signal == 0 {
            return Ok(());
        }
        match self.sandbox.line.order(Order::Signal(signal)) {
            // It has just ended, and the line will say so.
            Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
            result => result,
        }
    }

    fn outcome(self) -> std::result::Result<Outcome, WatchError> {
        let (stopped, killed, denied) = (self.stopped, self.killed, self.denied);
        let out_of_memory = self.boundary.out_of_memory();
        let exit = match (self.failure, self.exit) {
            (Some(failure), _) => return Err(WatchError::Step(failure)),
            (None, Some(exit)) => exit,
            // Process 1 can't tell: the kernel ended it with the rest.
            (None, None) if killed || out_of_memory.is_some() => Exit::Signal(number::KILL, false),
            (None, None) if stopped => return Err(WatchError::Stopped),
            (None, None) => return Err(WatchError::Lost),
        };
        Ok(Outcome { exit, denied, stopped, killed, out_of_memory })
    }
}
