//! How a backend stands, and what moves it.
//!
//! Invariant: the table is total, and a backend that is retired stays so.

/// How a backend stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It is known, and nobody has seen it healthy.
    Registered,
    /// It answers; connections do not go to it yet.
    Healthy,
    /// New connections go to it.
    Serving,
    /// No new connections go to it; those it has live on.
    Draining,
    /// It was seen not to answer. It comes back by being healthy.
    Down,
    /// It is gone.
    Retired,
}

/// What happens to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// It was found healthy, as often as its thresholds ask.
    Passed,
    /// It was found not to be, as often as its thresholds ask.
    Failed,
    /// New connections shall go to it.
    Shift,
    /// New connections shall no longer go to it.
    Drain,
    /// It has no connections left, their time is over, or its process has ended.
    Gone,
}

/// What an event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It stands so from now on.
    Now(State),
    /// That can't be asked of it as it stands.
    Refused,
}

impl State {
    /// What an event does to a backend that stands so.
    pub fn after(self, event: Event) -> Verdict {
        use Event as E;
        use State as S;
        Verdict::Now(match (self, event) {
            (S::Retired, E::Passed | E::Failed | E::Gone | E::Drain) => S::Retired,
            (_, E::Gone) => S::Retired,
            (S::Registered | S::Down, E::Passed) => S::Healthy,
            (S::Healthy | S::Serving, E::Passed) => self,
            (S::Registered | S::Healthy | S::Serving | S::Down, E::Failed) => S::Down,
            (S::Healthy | S::Serving, E::Shift) => S::Serving,
            (S::Registered | S::Down | S::Draining | S::Retired, E::Shift) => {
                return Verdict::Refused;
            }
            // No connection was ever sent to it.
            (S::Registered | S::Healthy, E::Drain) => S::Retired,
            (S::Serving | S::Down, E::Drain) => S::Draining,
            // Whether it answers has no say any more; its connections end it, or their deadline.
            (S::Draining, E::Passed | E::Failed | E::Drain) => S::Draining,
        })
    }
}
