//! One instance of a service over time, over as many starts as it takes.
//!
//! Owns where the instance is, how often it failed in a row, why, and when it must be looked at
//! again. Invariant: pure. `now` is any clock of the caller's that never goes back, chance is an
//! argument, and the same happenings at the same times lead to the same state. Never starts or
//! ends anything: it says what to do.
//!
//! | module | owns |
//! | --- | --- |
//! | [`table`] | the state × event table |
//! | [`backoff`] | how long is waited |
//! | [`reason`] | what happened last, as a sentence |

mod backoff;
mod reason;
mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use backoff::Timing;
pub use reason::{Ending, Reason};
pub use table::{Action, Event, State};

/// What an instance is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// Somebody wants it to run. Earlier failures are forgotten.
    Launch,
    /// It is ready.
    Ready,
    /// Its liveness check failed more often than is tolerated; what the probe said.
    Sick(String),
    /// Nothing of it is left.
    Ended(Ending),
    /// Others serve in its stead: it is to end once its clients have gone.
    Drain,
    /// Its clients have gone.
    Drained,
    /// Somebody wants it to end.
    Stop,
}

/// What outlives the process that supervises: enough to go on with an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Where it was.
    pub state: State,
    /// For how long it had been there. For [`State::BackingOff`] and [`State::Failed`] it counts
    /// as waited, whoever was there to count.
    pub age: Duration,
    /// Failures in a row.
    pub failures: u32,
    /// Starts after the first.
    pub restarts: u32,
    /// It was ready once since it was launched.
    pub ever_ready: bool,
    /// What happened last, in words.
    pub reason: Option<String>,
}

/// An instance. See the module's text.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    timing: Timing,
    state: State,
    since: Duration,
    deadline: Option<Duration>,
    failures: u32,
    restarts: u32,
    ever_ready: bool,
    reason: Option<Reason>,
}

impl Instance {
    /// An instance that nobody wanted to run yet: stopped.
    pub fn new(timing: Timing, now: Duration) -> Self {
        Self {
            timing,
            state: State::Stopped,
            since: now,
            deadline: None,
            failures: 0,
            restarts: 0,
            ever_ready: false,
            reason: None,
        }
    }

    /// The instance that an earlier process supervised, with `jitter` in [0, 1) for a wait that
    /// is not over. What that process may have died before doing is [`Instance::owed`].
    pub fn adopt(timing: Timing, memory: Memory, now: Duration, jitter: f64) -> Self {
        let mut instance = Self::new(timing, now);
        instance.state = memory.state;
        instance.failures = memory.failures;
        instance.restarts = memory.restarts;
        instance.ever_ready = memory.ever_ready || memory.state.is_serving();
        // What failed has a reason, though it was not written down.
        let failed = matches!(memory.state, State::Unhealthy | State::BackingOff | State::Failed);
        let unknown = failed.then_some(Reason::Ended(Ending::KeeperLost));
        instance.reason = memory.reason.map(Reason::Remembered).or(unknown);
        // The clock may have started anew since, so the deadline is told by what is left of it.
        let left = instance.stay(jitter).map(|stay| stay.saturating_sub(memory.age));
        instance.deadline = left.map(|left| now.saturating_add(left));
        instance.since = now.saturating_sub(memory.age);
        instance
    }

    /// It is judged by other times from its next state on.
    pub fn retime(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// What is to be done now because it may not have been done before [`Instance::adopt`].
    /// Asking twice to end does no harm.
    pub fn owed(&self) -> Action {
        match self.state {
            State::Unhealthy | State::Stopping => Action::AskToEnd,
            _ => Action::None,
        }
    }

    /// Take in what happened and say what to do about it.
    pub fn on(&mut self, happening: Happening, now: Duration, jitter: f64) -> Action {
        // What was steady before it ended was so although nobody had looked meanwhile.
        if self.state == State::Ready && self.is_due(now) {
            self.take(Event::Steady, now, jitter);
        }
        match happening {
            Happening::Launch => self.launch(now, jitter),
            Happening::Ready => self.take(Event::Ready, now, jitter),
            Happening::Sick(said) => {
                self.take_because(Event::Sick, Reason::Unhealthy(said), now, jitter)
            }
            Happening::Ended(ending) => self.ended(ending, now, jitter),
            Happening::Drain => self.take(Event::Drain, now, jitter),
            Happening::Drained => self.take(Event::Drained, now, jitter),
            Happening::Stop => self.take(Event::Stop, now, jitter),
        }
    }

    /// When [`Instance::due`] wants to be called.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Do what its time has come for; nothing before that.
    pub fn due(&mut self, now: Duration, jitter: f64) -> Action {
        if !self.is_due(now) {
            return Action::None;
        }
        match self.state {
            State::Starting => {
                let reason = Reason::Overdue(self.timing.ready_within);
                self.take_because(Event::Overdue, reason, now, jitter)
            }
            State::Ready => self.take(Event::Steady, now, jitter),
            State::Draining => self.take(Event::Drained, now, jitter),
            State::BackingOff | State::Failed => {
                self.restarts = self.restarts.saturating_add(1);
                self.take(Event::Retry, now, jitter)
            }
            State::Running | State::Unhealthy | State::Stopping | State::Stopped => Action::None,
        }
    }

    /// Where it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when it is there, by the caller's clock.
    pub fn since(&self) -> Duration {
        self.since
    }

    /// Failures in a row: ends without having been [`State::Running`] in between.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Starts after the first since somebody wanted it to run.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// It was ready once since somebody wanted it to run.
    pub fn ever_ready(&self) -> bool {
        self.ever_ready
    }

    /// What happened last.
    pub fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    /// Why a version should not count on this instance: it failed and never was ready, or failed
    /// too often in a row. It is tried again all the same.
    pub fn gave_up(&self) -> Option<&Reason> {
        let failed = self.failures > 0 || self.state == State::Unhealthy;
        let gave_up = self.state == State::Failed || (!self.ever_ready && failed);
        self.reason.as_ref().filter(|_| gave_up)
    }

    /// It does what it is there for.
    pub fn is_serving(&self) -> bool {
        self.state.is_serving()
    }

    /// It has, or may have, a process.
    pub fn is_alive(&self) -> bool {
        self.state.is_alive()
    }

    /// What is to be written down now so that [`Instance::adopt`] can go on with it.
    pub fn memory(&self, now: Duration) -> Memory {
        Memory {
            state: self.state,
            age: now.saturating_sub(self.since),
            failures: self.failures,
            restarts: self.restarts,
            ever_ready: self.ever_ready,
            reason: self.reason.as_ref().map(ToString::to_string),
        }
    }

    fn is_due(&self, now: Duration) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    fn launch(&mut self, now: Duration, jitter: f64) -> Action {
        let action = self.take(Event::Launch, now, jitter);
        if action == Action::Start {
            self.failures = 0;
            self.restarts = 0;
            self.ever_ready = false;
            self.reason = None;
        }
        action
    }

    fn ended(&mut self, ending: Ending, now: Duration, jitter: f64) -> Action {
        let reason = Reason::Ended(ending);
        match self.state {
            State::Starting | State::Ready | State::Running => {}
            // It ended because it was asked to; why it was asked is the reason.
            State::Unhealthy => return self.failed(now, jitter),
            State::Draining | State::Stopping => {
                return self.take_because(Event::Ended, reason, now, jitter);
            }
            State::BackingOff | State::Failed | State::Stopped => return Action::None,
        }
        self.reason = Some(reason);
        self.failed(now, jitter)
    }

    fn failed(&mut self, now: Duration, jitter: f64) -> Action {
        self.failures = self.failures.saturating_add(1);
        if self.failures < self.timing.too_many {
            return self.take(Event::Ended, now, jitter);
        }
        let last = self.reason.take().map_or(Reason::Ended(Ending::KeeperLost), Reason::last);
        let reason = Reason::TooOften {
            times: self.failures,
            last: Box::new(last),
            wait: self.timing.breaker_wait,
        };
        self.take_because(Event::GaveUp, reason, now, jitter)
    }

    /// Take an event whose reason counts if the event does.
    fn take_because(&mut self, event: Event, why: Reason, now: Duration, jitter: f64) -> Action {
        if self.state.on(event).0 != self.state {
            self.reason = Some(why);
        }
        self.take(event, now, jitter)
    }

    /// The one place where the state changes.
    fn take(&mut self, event: Event, now: Duration, jitter: f64) -> Action {
        let (state, action) = self.state.on(event);
        if state == self.state {
            return action;
        }
        self.state = state;
        self.since = now;
        if state == State::Running {
            self.failures = 0;
            self.reason = self.reason.take().map(Reason::last);
        }
        self.ever_ready |= state.is_serving();
        self.deadline = self.stay(jitter).map(|stay| now.saturating_add(stay));
        action
    }

    /// How long it may be in its state before it must be looked at.
    fn stay(&self, jitter: f64) -> Option<Duration> {
        match self.state {
            State::Starting => Some(self.timing.ready_within),
            State::Ready => Some(self.timing.steady),
            State::Draining => Some(self.timing.drain),
            State::BackingOff => Some(self.timing.wait(self.failures, jitter)),
            State::Failed => Some(self.timing.breaker_wait),
            State::Running | State::Unhealthy | State::Stopping | State::Stopped => None,
        }
    }
}
