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

use super::companion::{Companion, News};
use super::orders::Orders;
use super::runner::{Options, Outcome, WatchError};
use super::state::{Action, Event, State};
use super::terminal::{Side, Terminal};
use crate::logs::Holder;
use crate::network::boundary::Boundary;
use crate::sandbox::Sandbox;
use crate::sandbox::message::Failure;

/// A run being watched.
pub(super) struct Watch<'a> {
    signals: Signals,
    pub(super) sandbox: Sandbox,
    pub(super) streams: [BorrowedFd<'a>; 3],
    pub(super) options: Options,
    pub(super) companion: &'a mut dyn Companion,
    logs: Option<&'a mut Holder>,
    boundary: &'a mut Boundary,
    pub(super) terminal: Option<Terminal>,
    pub(super) state: State,
    deadline: Option<Instant>,
    pub(super) events: VecDeque<Event>,
    pub(super) orders: Orders,
    pub(super) line_open: bool,
    pub(super) failure: Option<Failure>,
    pub(super) exit: Option<Exit>,
    pub(super) denied: Option<i32>,
    pub(super) stopped: bool,
    killed: bool,
}

/// What became ready.
#[derive(Debug, Clone, Copy)]
enum Source {
    Line,
    Signals,
    Init,
    Terminal(Side),
    Logs(usize),
    Boundary(usize),
    Orders,
    Companion(usize),
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        signals: Signals,
        sandbox: Sandbox,
        streams: [BorrowedFd<'a>; 3],
        logs: Option<&'a mut Holder>,
        boundary: &'a mut Boundary,
        options: Options,
        companion: &'a mut dyn Companion,
    ) -> Self {
        Watch {
            signals,
            sandbox,
            streams,
            options,
            companion,
            logs,
            boundary,
            terminal: None,
            state: State::Starting,
            deadline: None,
            events: VecDeque::new(),
            orders: Orders::default(),
            line_open: true,
            failure: None,
            exit: None,
            denied: None,
            stopped: false,
            killed: false,
        }
    }

    /// Until nothing of the sandbox is left.
    pub(super) fn finish(mut self) -> std::result::Result<Outcome, WatchError> {
        let end = self.until_over();
        if end.is_err() {
            // Whatever went wrong here must not leave the program running unwatched.
            let _ = self.sandbox.init.signal(number::KILL);
            let _ = self.sandbox.init.wait();
        }
        self.answer_for_all();
        if let Some(terminal) = self.terminal.take() {
            terminal.finish();
        }
        end?;
        self.outcome()
    }

    fn until_over(&mut self) -> Result<()> {
        while self.state != State::Over {
            let ready = self.ready()?;
            self.tend(&ready);
            // Whoever sends a signal may have seen what process 1 said before: that counts first.
            self.hear_all()?;
            for source in &ready {
                self.take(*source)?;
            }
            if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.deadline = None;
                self.events.push_back(Event::TimeUp);
            }
            // First what has happened, then what somebody who heard of it wants.
            self.act_on_events()?;
            self.accompany(&ready)?;
            self.act_on_events()?;
        }
        Ok(())
    }

    fn act_on_events(&mut self) -> Result<()> {
        while let Some(event) = self.events.pop_front() {
            self.act(event)?;
        }
        Ok(())
    }

    /// Let the companion do its work, and do what it wants.
    fn accompany(&mut self, ready: &[Source]) -> Result<()> {
        let place = |source: &Source| match source {
            Source::Companion(place) => Some(*place),
            _ => None,
        };
        let places: Vec<_> = ready.iter().filter_map(place).collect();
        let due = self.companion.deadline().is_some_and(|at| at <= Instant::now());
        if due || !places.is_empty() {
            for wish in self.companion.tend(&places) {
                self.grant(wish)?;
            }
        }
        Ok(())
    }

    /// Let the logs have their logger, and the boundary take in what changed around it.
    fn tend(&mut self, ready: &[Source]) {
        if let Some(logs) = &mut self.logs {
            let place = |source: &Source| match source {
                Source::Logs(place) => Some(*place),
                _ => None,
            };
            let places: Vec<_> = ready.iter().filter_map(place).collect();
            let due = logs.deadline().is_some_and(|at| at <= Instant::now());
            if due || !places.is_empty() {
                logs.tend(&places);
            }
        }
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
        let logs = self.logs.iter().flat_map(|logs| logs.sources()).enumerate();
        list.extend(logs.map(|(index, fd)| (Source::Logs(index), Interest { fd, write: false })));
        let upkeep = self.boundary.sources().enumerate();
        list.extend(
            upkeep.map(|(index, fd)| (Source::Boundary(index), Interest { fd, write: false })),
        );
        if self.line_open && self.orders.are_waiting() {
            list.push((Source::Orders, Interest { fd: self.sandbox.line.as_fd(), write: true }));
        }
        let beside = self.companion.sources().into_iter().enumerate();
        list.extend(beside.map(|(index, interest)| (Source::Companion(index), interest)));
        let logs = self.logs.as_ref().and_then(|logs| logs.deadline());
        let deadlines = [self.deadline, logs, self.boundary.deadline(), self.companion.deadline()];
        let next = deadlines.into_iter().flatten().min();
        let timeout = next.map(|at| at.saturating_duration_since(Instant::now()));
        let interests: Vec<_> = list.iter().map(|(_, interest)| *interest).collect();
        let ready = wait(&interests, timeout)?;
        Ok(list.iter().zip(ready).filter(|(_, ready)| *ready).map(|((s, _), _)| *s).collect())
    }

    fn take(&mut self, source: Source) -> Result<()> {
        match source {
            Source::Line | Source::Boundary(_) | Source::Companion(_) | Source::Logs(_) => {}
            Source::Orders => self.send_orders()?,
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
                let grace = self.options.grace;
                self.companion.hear(News::Stopping { signal, grace });
                self.deadline = Some(Instant::now() + self.options.grace);
                self.send(signal)
            }
            Action::StartClock => {
                self.deadline = Some(Instant::now() + self.options.grace);
                if closing && event == Event::ProgramEnded && self.leftovers() {
                    self.companion.hear(News::Leftovers);
                }
                Ok(())
            }
            Action::Kill => {
                if self.exit.is_none() && self.state != State::Starting {
                    self.companion.hear(News::Killing);
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
