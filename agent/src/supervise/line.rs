//! The conversation with process 1: what it says becomes events and news, what is wished for becomes
//! events and orders.
//!
//! Invariant: everything said is heard before the end of the line counts; every command that was
//! wished for is answered for once.

use std::os::fd::AsFd;
use std::time::Duration;

use host_sys::poll::{Interest, wait};
use host_sys::process::Exit;
use host_sys::signal::number;
use host_sys::{Errno, Result};

use super::companion::{News, Wish};
use super::orders::{self, Refused};
use super::state::{Event, State};
use super::terminal::Terminal;
use super::watch::Watch;
use crate::sandbox::message::{Execution, Order, Report};

impl Watch<'_> {
    /// Take in everything process 1 has said so far.
    pub(super) fn hear_all(&mut self) -> Result<()> {
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
        let report = match self.sandbox.line.next_report() {
            Ok(Some(report)) => report,
            // A reset line means the same as a closed one: process 1 has gone.
            Ok(None) | Err(Errno::ECONNRESET) => {
                self.line_open = false;
                return Ok(());
            }
            Err(errno) => return Err(errno),
        };
        match report {
            Report::Failed(failure) => {
                self.failure = Some(failure);
                self.events.push_back(Event::Failed);
            }
            Report::Terminal(master) => {
                let (standard, interactive) = (self.options.standard, self.options.interactive);
                let terminal = Terminal::join(master, self.streams, standard, interactive)?;
                self.terminal = Some(terminal);
            }
            Report::Socket(socket) => self.companion.hear(News::Socket(socket)),
            Report::Ready => self.events.push_back(Event::Ready),
            Report::Started => self.companion.hear(News::Started),
            Report::Denied { call } => {
                self.denied = Some(call);
                self.companion.hear(News::Denied { call });
            }
            Report::Ended(exit) => {
                self.exit = Some(exit);
                self.events.push_back(Event::ProgramEnded);
                self.companion.hear(News::ProgramEnded(exit));
            }
            Report::ExecTerminal { id, master } => {
                if let Some(master) = master {
                    self.companion.hear(News::Terminal { id, master });
                }
            }
            Report::Executed { id, exit } => {
                self.orders.answered(id);
                self.companion.hear(News::Executed { id, exit });
            }
            Report::NotExecuted { id, failure } => {
                self.orders.answered(id);
                self.companion.hear(News::NotExecuted { id, failure });
            }
        }
        Ok(())
    }

    /// Do what the companion wants.
    pub(super) fn grant(&mut self, wish: Wish) -> Result<()> {
        let is_signal = |number| (1..=number::LAST).contains(&number);
        match wish {
            Wish::Stop { signal } => {
                self.stopped = true;
                let signal =
                    signal.filter(|signal| is_signal(*signal)).unwrap_or(self.options.stop_signal);
                self.events.push_back(Event::StopAsked(signal));
            }
            Wish::Kill => {
                self.stopped = true;
                self.events.push_back(Event::StopInsisted);
            }
            Wish::Signal(signal) if is_signal(signal) => {
                self.events.push_back(Event::Passed(signal));
            }
            Wish::SignalExecution { id, signal } if is_signal(signal) => {
                self.orders.add_signal(Order::SignalExecution { id, signal });
                self.send_orders()?;
            }
            Wish::Signal(_) | Wish::SignalExecution { .. } => {}
            Wish::Execute(execution) => self.execute(execution)?,
        }
        Ok(())
    }

    fn execute(&mut self, execution: Execution) -> Result<()> {
        let refused = |id, detail: &str| Err((id, orders::because(None, detail.to_owned())));
        let added = match self.state {
            State::Running | State::Stopping => self.orders.add(execution),
            State::Starting => refused(execution.id, "the program has not started yet"),
            State::Closing | State::Over => refused(execution.id, "the program has ended"),
        };
        match added {
            Ok(()) => self.send_orders(),
            Err(refused) => {
                self.refuse(refused);
                Ok(())
            }
        }
    }

    fn refuse(&mut self, (id, failure): Refused) {
        self.companion.hear(News::NotExecuted { id, failure });
    }

    /// Have process 1 signal the program; 0 stands for a signal that took another way.
    pub(super) fn send(&mut self, signal: i32) -> Result<()> {
        if signal == 0 {
            return Ok(());
        }
        self.orders.add_signal(Order::Signal(signal));
        self.send_orders()
    }

    /// Send what process 1 takes now; the loop sees to the rest.
    pub(super) fn send_orders(&mut self) -> Result<()> {
        for refused in self.orders.send(&self.sandbox.line)? {
            self.refuse(refused);
        }
        Ok(())
    }

    /// Nothing of the sandbox is left: commands that did not end before have ended now.
    pub(super) fn answer_for_all(&mut self) {
        for id in self.orders.end() {
            self.companion.hear(News::Executed { id, exit: Exit::Signal(number::KILL, false) });
        }
    }
}
