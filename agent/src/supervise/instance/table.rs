//! The life of an instance: states, events, and the one table that joins them.
//!
//! Invariant: pure and total. Nothing starts but by [`Event::Launch`] or [`Event::Retry`], nothing
//! stopped starts but by [`Event::Launch`], and from everywhere [`Event::Stop`] and then
//! [`Event::Ended`] lead to [`State::Stopped`]. Never asks whether an event is true: its caller
//! finds that out, and counts.

use std::fmt;

/// Where an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Launched, not ready yet.
    Starting,
    /// It serves, and has not done so for long: an end still counts as a failure in a row.
    Ready,
    /// It has served for long enough that earlier failures are forgotten.
    Running,
    /// Others serve in its stead: no new client is sent to it, those that it has live on.
    Draining,
    /// It was late or sick, and is being stopped in order to be started again.
    Unhealthy,
    /// It was asked to end for good.
    Stopping,
    /// It ended, and waits to be started again.
    BackingOff,
    /// It ended too often: it is tried again seldom, and keeps saying why.
    Failed,
    /// Nothing of it runs, and nothing will unless somebody says so.
    Stopped,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants it to run.
    Launch,
    /// It is ready to serve.
    Ready,
    /// It has served for long enough.
    Steady,
    /// It is alive and does not serve, more often than is tolerated.
    Sick,
    /// Nothing of it is left.
    Ended,
    /// Nothing of it is left, once too often in a row.
    GaveUp,
    /// It was not ready within its time.
    Overdue,
    /// Somebody wants it to end once its clients have gone.
    Drain,
    /// Its clients have gone, or their time is over.
    Drained,
    /// Somebody wants it to end.
    Stop,
    /// The wait before the next start is over.
    Retry,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Start it.
    Start,
    /// Ask it to end. Whoever does has a grace, and ends it by force after that.
    AskToEnd,
    /// It will be started again at its deadline.
    Wait,
    /// It will be started again at its deadline, which is far away: somebody should look at it.
    OpenBreaker,
}

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [State; 9] = [
        State::Starting,
        State::Ready,
        State::Running,
        State::Draining,
        State::Unhealthy,
        State::Stopping,
        State::BackingOff,
        State::Failed,
        State::Stopped,
    ];

    /// The table.
    pub fn on(self, event: Event) -> (State, Action) {
        use Action::{AskToEnd, None, OpenBreaker, Start, Wait};
        use Event as E;
        use State::Unhealthy;
        use State::{BackingOff, Draining, Failed, Ready, Running, Starting, Stopped, Stopping};
        match (self, event) {
            (Starting, E::Ready) => (Ready, None),
            (Starting, E::Overdue) => (Unhealthy, AskToEnd),
            // What is not ready can't be sick: its time to become ready is what runs.
            (Starting, E::Sick | E::Steady) => (Starting, None),

            (Ready, E::Steady) => (Running, None),
            (Ready | Running, E::Sick) => (Unhealthy, AskToEnd),
            (Ready, E::Ready | E::Overdue) => (Ready, None),
            (Running, E::Ready | E::Steady | E::Overdue) => (Running, None),

            (Starting | Ready | Running | Unhealthy, E::Ended) => (BackingOff, Wait),
            (Starting | Ready | Running | Unhealthy, E::GaveUp) => (Failed, OpenBreaker),
            (Starting | Ready | Running | Draining, E::Stop) => (Stopping, AskToEnd),
            // It has been asked already, and its grace runs.
            (Unhealthy, E::Stop | E::Drain) => (Stopping, None),
            (Unhealthy, E::Ready | E::Steady | E::Sick | E::Overdue) => (Unhealthy, None),

            (Ready | Running, E::Drain) => (Draining, None),
            // No client was ever sent to it.
            (Starting, E::Drain) => (Stopping, AskToEnd),
            (Draining, E::Drained) => (Stopping, AskToEnd),
            (Draining, E::Ended | E::GaveUp) => (Stopped, None),
            // Whether it still answers is its clients' matter, and it is not taken back half drained.
            (Draining, E::Ready | E::Steady | E::Sick | E::Overdue) => (Draining, None),
            (Draining, E::Launch | E::Drain | E::Retry) => (Draining, None),

            (Stopping, E::Ended | E::GaveUp) => (Stopped, None),
            // Whoever wants it back has to wait for its end: nothing is asked to end half.
            (Stopping, E::Launch | E::Stop | E::Drain) => (Stopping, None),
            (Stopping, E::Ready | E::Steady | E::Sick | E::Overdue) => (Stopping, None),

            (BackingOff | Failed | Stopped, E::Launch) => (Starting, Start),
            (BackingOff | Failed, E::Retry) => (Starting, Start),
            (BackingOff | Failed, E::Stop | E::Drain) => (Stopped, None),
            (Stopped, E::Retry | E::Stop | E::Drain) => (Stopped, None),
            // News of a process that is gone.
            (BackingOff | Failed | Stopped, E::Ready | E::Steady | E::Sick) => (self, None),
            (BackingOff | Failed | Stopped, E::Ended | E::GaveUp | E::Overdue) => (self, None),

            (Starting | Ready | Running | Unhealthy, E::Launch) => (self, None),
            (Starting | Ready | Running | Unhealthy | Stopping, E::Retry) => (self, None),
            (Starting | Ready | Running | Unhealthy | Stopping, E::Drained) => (self, None),
            (BackingOff | Failed | Stopped, E::Drained) => (self, None),
        }
    }

    /// It does what it is there for.
    pub fn is_serving(self) -> bool {
        matches!(self, State::Ready | State::Running)
    }

    /// It has, or may have, a process.
    pub fn is_alive(self) -> bool {
        match self {
            State::Starting | State::Ready | State::Running => true,
            State::Draining | State::Unhealthy | State::Stopping => true,
            State::BackingOff | State::Failed | State::Stopped => false,
        }
    }

    /// As files and answers write it.
    pub fn name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Ready => "ready",
            State::Running => "running",
            State::Draining => "draining",
            State::Unhealthy => "unhealthy",
            State::Stopping => "stopping",
            State::BackingOff => "backing-off",
            State::Failed => "failed",
            State::Stopped => "stopped",
        }
    }

    /// The state with this name.
    pub fn named(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Event {
    /// Every event.
    pub const ALL: [Event; 11] = [
        Event::Launch,
        Event::Ready,
        Event::Steady,
        Event::Sick,
        Event::Ended,
        Event::GaveUp,
        Event::Overdue,
        Event::Drain,
        Event::Drained,
        Event::Stop,
        Event::Retry,
    ];
}
