//! The way of one batch into a sink: states, events, the one table that joins them, and the parts
//! that the batch has been cut into.
//!
//! Invariant: pure and total. Records leave a batch from its front, one part after the other, either
//! because the sink has them or because one of them alone was refused and is parked; nothing else
//! shortens it. Never asks whether an answer is true.

use std::collections::VecDeque;
use std::time::Duration;

use super::pause::Pauses;
use crate::logs::sink::{Answer, Verdict};

/// So many records parked with none taken between them look like a sink that refuses everything:
/// each further one is parked only when it is refused again after a wait.
const DOUBT: u32 = 8;

/// Where a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Empty,
    /// The sink has the first part in hand.
    Sending,
    /// One record that the sink does not want is being put aside.
    Parking,
    /// The sink is left alone for a while.
    Resting,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// There is a batch.
    Begin,
    /// The first part is off, and more is left.
    Off,
    /// The first part is off, and it was the last.
    Emptied,
    /// The first part, of several records, is not wanted as it is.
    Refused,
    /// One record alone is not wanted.
    Poison,
    /// One record alone is not wanted, as so many before it that the sink is to be doubted.
    Doubtful,
    /// Neither wanted nor refused; or a record can't be put aside.
    Failed,
    /// The wait is over.
    Rested,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Send the first part.
    Send,
    /// Cut the first part in two, and send the first of them.
    Halve,
    /// Put the first record aside.
    Park,
    /// Wait.
    Wait,
    /// Get the next batch.
    Finish,
}

impl State {
    /// Every state.
    pub const ALL: [State; 4] = [State::Empty, State::Sending, State::Parking, State::Resting];

    /// The table.
    pub fn on(self, event: Event) -> (State, Action) {
        use Event as E;
        use State::{Empty, Parking, Resting, Sending};
        match (self, event) {
            (Empty, E::Begin) => (Sending, Action::Send),

            (Sending | Parking, E::Off) => (Sending, Action::Send),
            (Sending | Parking, E::Emptied) => (Empty, Action::Finish),
            (Sending, E::Refused) => (Sending, Action::Halve),
            (Sending, E::Poison) => (Parking, Action::Park),
            (Sending, E::Doubtful) => (Resting, Action::Wait),
            (Sending | Parking, E::Failed) => (Resting, Action::Wait),

            (Resting, E::Rested) => (Sending, Action::Send),

            // What is on its way is not begun again, and answers to nothing say nothing.
            (Sending | Parking | Resting, E::Begin) => (self, Action::None),
            (Sending | Parking | Empty, E::Rested) => (self, Action::None),
            (Parking | Resting | Empty, E::Refused | E::Poison | E::Doubtful) => {
                (self, Action::None)
            }
            (Resting | Empty, E::Off | E::Emptied | E::Failed) => (self, Action::None),
        }
    }
}

impl Event {
    /// Every event.
    pub const ALL: [Event; 8] = [
        Event::Begin,
        Event::Off,
        Event::Emptied,
        Event::Refused,
        Event::Poison,
        Event::Doubtful,
        Event::Failed,
        Event::Rested,
    ];
}

/// What the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Send so many of the records that are left.
    Send(usize),
    /// Put the first of them aside.
    Park,
    /// Wait so long, then say [`Delivery::rested`].
    Wait(Duration),
    /// Get the next batch.
    Finish,
}

/// The batches of one sink, one after the other.
#[derive(Debug)]
pub struct Delivery {
    pauses: Pauses,
    state: State,
    /// Records in each part that is left.
    parts: VecDeque<usize>,
    /// Most records of a part: less once the sink found one too large.
    most: usize,
    failures: u32,
    parked: u32,
    rested_in_doubt: bool,
}

impl Delivery {
    /// A sink that was not asked yet.
    pub fn new(pauses: Pauses) -> Delivery {
        Delivery {
            pauses,
            state: State::Empty,
            parts: VecDeque::new(),
            most: usize::MAX,
            failures: 0,
            parked: 0,
            rested_in_doubt: false,
        }
    }

    /// There are so many records in the next batch. It is what is asked for by [`Next::Finish`].
    pub fn begin(&mut self, records: usize) -> Next {
        if self.state == State::Empty {
            let (whole, rest) = (records / self.most, records % self.most);
            self.parts.extend(std::iter::repeat_n(self.most, whole));
            self.parts.extend((rest > 0).then_some(rest));
        }
        if self.parts.is_empty() {
            return Next::Finish;
        }
        self.take(Event::Begin, None, 0.0)
    }

    /// The sink's answer to the first part. Afterwards `answer.taken` records are off, from the
    /// first on.
    pub fn answered(&mut self, answer: &Answer, jitter: f64) -> Next {
        let Some(part) = self.parts.front_mut() else { return Next::Finish };
        let sent = *part;
        let taken = match answer.verdict {
            Verdict::Taken => sent,
            _ => answer.taken.min(sent),
        };
        *part -= taken;
        let left = *part;
        if taken > 0 {
            self.failures = 0;
            self.parked = 0;
            self.rested_in_doubt = false;
        }
        if left == 0 {
            if sent == self.most {
                // Slowly back to what may only have been too large for once.
                self.most = self.most.saturating_add((self.most / 8).max(1));
            }
            return self.off(jitter);
        }
        match answer.verdict {
            Verdict::TooLarge if left > 1 => {
                self.most = (sent / 2).max(1);
                self.take(Event::Refused, None, jitter)
            }
            Verdict::Refused if left > 1 => self.take(Event::Refused, None, jitter),
            Verdict::TooLarge | Verdict::Refused => {
                if self.parked >= DOUBT && !self.rested_in_doubt {
                    self.rested_in_doubt = true;
                    let wait = self.pauses.after(self.parked - DOUBT + 1, jitter);
                    return self.take(Event::Doubtful, Some(wait), jitter);
                }
                self.take(Event::Poison, None, jitter)
            }
            Verdict::Busy(wait) => {
                let wait = wait.map(|wait| wait.max(self.pauses.first / 2));
                self.failed(wait, jitter)
            }
            Verdict::Taken | Verdict::Failed => self.failed(None, jitter),
        }
    }

    /// Whether the first record could be put aside. It is off then.
    pub fn parked(&mut self, done: bool, jitter: f64) -> Next {
        match self.parts.front_mut() {
            Some(part) if done && self.state == State::Parking => *part -= 1,
            _ => return self.failed(None, jitter),
        }
        self.parked = self.parked.saturating_add(1);
        self.rested_in_doubt = false;
        self.off(jitter)
    }

    /// The wait is over.
    pub fn rested(&mut self) -> Next {
        self.take(Event::Rested, None, 0.0)
    }

    /// Records of the batch that are not off.
    pub fn left(&self) -> usize {
        self.parts.iter().sum()
    }

    fn off(&mut self, jitter: f64) -> Next {
        if self.parts.front() == Some(&0) {
            self.parts.pop_front();
        }
        let event = if self.parts.is_empty() { Event::Emptied } else { Event::Off };
        self.take(event, None, jitter)
    }

    fn failed(&mut self, wait: Option<Duration>, jitter: f64) -> Next {
        self.failures = self.failures.saturating_add(1);
        self.take(Event::Failed, wait, jitter)
    }

    fn take(&mut self, event: Event, wait: Option<Duration>, jitter: f64) -> Next {
        let (state, action) = self.state.on(event);
        self.state = state;
        let first = self.parts.front().copied().unwrap_or(0);
        match action {
            Action::Send => Next::Send(first),
            Action::Halve => {
                let half = first / 2;
                if let Some(part) = self.parts.front_mut() {
                    *part = first - half;
                }
                self.parts.push_front(half);
                Next::Send(half)
            }
            Action::Park => Next::Park,
            Action::Wait => {
                Next::Wait(wait.unwrap_or_else(|| self.pauses.after(self.failures, jitter)))
            }
            Action::Finish => Next::Finish,
            // An answer that nobody waited for: what was to be done still is.
            Action::None => self.again(first),
        }
    }

    fn again(&self, first: usize) -> Next {
        match self.state {
            State::Empty => Next::Finish,
            State::Sending => Next::Send(first),
            State::Parking => Next::Park,
            State::Resting => Next::Wait(self.pauses.after(self.failures, 0.0)),
        }
    }
}

#[cfg(test)]
mod tests;
