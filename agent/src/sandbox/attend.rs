//! Process 1 at work: reaps what is orphaned, does what its supervisor says, names denied calls.
//!
//! Invariant: it waits in one place, and for nobody who could be the app: whatever a process of the
//! sandbox does to itself or another, the next order is heard. It ends when nothing is left or its
//! supervisor is gone.

use std::os::fd::AsFd;

use host_sys::poll::{Interest, wait};
use host_sys::process::{self, Exit, Reaped};
use host_sys::seccomp::Listener;
use host_sys::signal::{Signals, number};
use host_sys::{Errno, Result};

use super::execute::Executions;
use super::message::{Arrived, Line, Order, Report};

/// Who attends to a program that runs.
pub(super) struct Attendant<'a> {
    program: i32,
    line: &'a Line,
    listener: Option<Listener>,
    executions: Executions,
    ended: bool,
}

impl<'a> Attendant<'a> {
    /// For the program with this process number, which the step of this index has started.
    pub(super) fn new(
        program: i32,
        step: usize,
        listener: Option<Listener>,
        line: &'a Line,
    ) -> Self {
        Attendant { program, line, listener, executions: Executions::new(step), ended: false }
    }

    /// Reap, obey, and name denied calls until nothing is left or the supervisor is gone.
    pub(super) fn attend(mut self) -> Result<()> {
        let signals = Signals::block(&[number::CHLD])?;
        while self.reap()? {
            let mut interests = vec![
                Interest { fd: self.line.as_fd(), write: false },
                Interest { fd: signals.as_fd(), write: false },
            ];
            interests.extend(
                self.listener
                    .as_ref()
                    .map(|listener| Interest { fd: listener.as_fd(), write: false }),
            );
            let ready = wait(&interests, None)?;
            if ready[0] && !self.obey()? {
                return Ok(());
            }
            if ready.get(2).is_some_and(|ready| *ready) {
                self.name_denied()?;
            }
            while ready[1] && signals.next()?.is_some() {}
        }
        Ok(())
    }

    /// Take the status of everything that ended; `false` when nothing is left.
    fn reap(&mut self) -> Result<bool> {
        loop {
            match process::reap()? {
                Reaped::Running => return Ok(true),
                Reaped::Empty => return Ok(false),
                Reaped::Child(pid, exit) if pid == self.program && !self.ended => self.end(exit)?,
                Reaped::Child(pid, exit) => {
                    if let Some(report) = self.executions.reaped(pid, exit) {
                        self.line.report(&report)?;
                    }
                }
            }
        }
    }

    /// The program has ended: say so, and ask what it left behind to end as well.
    fn end(&mut self, exit: Exit) -> Result<()> {
        self.ended = true;
        self.line.report(&Report::Ended(exit))?;
        match process::kill(-1, number::TERM) {
            Err(Errno::ESRCH) => Ok(()),
            result => result,
        }
    }

    /// Do what the supervisor says; `false` when it is gone.
    fn obey(&mut self) -> Result<bool> {
        let order = match self.line.next_order()? {
            None => return Ok(false),
            Some(Arrived::Stripped { id }) => {
                self.line.report(&self.executions.refuse(id, Errno::EMFILE.into()))?;
                return Ok(true);
            }
            Some(Arrived::Whole(order)) => order,
        };
        match order {
            Order::Signal(signal) => self.signal(signal)?,
            // Nothing that starts now would be asked to end.
            Order::Execute(execution) if self.ended => {
                let ended = Executions::because("the program has ended");
                self.line.report(&self.executions.refuse(execution.id, ended))?;
            }
            Order::Execute(execution) => {
                if let Some(report) = self.executions.start(execution) {
                    self.line.report(&report)?;
                }
            }
            Order::SignalExecution { id, signal } => self.executions.signal(id, signal),
        }
        Ok(true)
    }

    fn signal(&self, signal: i32) -> Result<()> {
        let target = if self.ended { -1 } else { self.program };
        match process::kill(target, signal) {
            Err(Errno::ESRCH) => Ok(()),
            result => result,
        }
    }

    /// A thread made a refused call: tell the supervisor which, end the program as the kernel would
    /// have, and answer in case it lives on (it may ignore the signal).
    fn name_denied(&mut self) -> Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        let denied = match listener.receive() {
            Ok(Some(denied)) => denied,
            Ok(None) => return Ok(()),
            // Nobody is left whom the filter could refuse anything.
            Err(_) => {
                self.listener = None;
                return Ok(());
            }
        };
        self.line.report(&Report::Denied { call: denied.number })?;
        if listener.is_waiting(&denied) {
            let _ = process::kill(denied.thread, number::SYS);
            let _ = listener.refuse(&denied);
        }
        Ok(())
    }
}
