//! How a policy plugin is dealt with: a state × event table, printed in `conduct/table.txt`, and the
//! counts beside it that decide when a plugin is ended and when its last answer is too old.
//!
//! Invariant: pure; time is an argument, as the time since some beginning. Whatever a plugin does,
//! every state but [`State::Idle`] and [`State::Ready`] ends at a time that is known, and a plugin
//! that fails is started again ever more slowly, at most once a minute in the end.

use std::time::Duration;

use manifest_spec::plugin::Answer;

/// How long a program may take until it is executed, its sandbox included: many are started at once
/// when a host boots.
const START: Duration = Duration::from_secs(60);
/// Times in a row that it may be late or wrong before it is ended.
const STRIKES: u32 = 3;
/// Lines between two questions that are no answers.
const NOISE: u32 = 64;
/// For how long the last good answer stands while a plugin fails.
pub const KEPT: Duration = Duration::from_secs(10);
/// The first pause after a process failed; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A process that is good for so long makes earlier failures forgotten.
const STEADY: Duration = Duration::from_secs(10);

/// What a plugin is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing runs, and nothing was asked.
    Idle,
    /// Its process is being started.
    Starting,
    /// It waits for a question.
    Ready,
    /// It has a question to answer.
    Asked,
    /// It has failed, and waits to be started again.
    Failed,
}

impl State {
    /// All of them.
    pub const ALL: [State; 5] =
        [State::Idle, State::Starting, State::Ready, State::Asked, State::Failed];
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its process is to be started, because there is something to ask.
    Start,
    /// Its program runs.
    Started,
    /// A question was written.
    Ask,
    /// A good answer to it came.
    Good,
    /// An answer to it came that is none.
    Wrong,
    /// A line came that answers nothing.
    Noise,
    /// A line came that is longer than any answer.
    Flood,
    /// Its process has ended, or could not be started.
    Ended,
    /// The time of its state is over.
    Due,
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 9] = [
        Event::Start,
        Event::Started,
        Event::Ask,
        Event::Good,
        Event::Wrong,
        Event::Noise,
        Event::Flood,
        Event::Ended,
        Event::Due,
    ];
}

/// What an event is to the state it comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// The answer is the one in force.
    Adopt,
    /// It was late or wrong; after too many times in a row it is ended as with [`Effect::End`].
    Strike,
    /// It said something that nobody asked for; after too many lines it is ended.
    Count,
    /// End the process.
    End,
    /// The process is gone.
    Bury,
}

impl State {
    /// The table: the state after an event, if its effect ends nothing, and the effect.
    #[must_use]
    pub fn on(self, event: Event) -> (State, Effect) {
        match (self, event) {
            (State::Idle, Event::Start) => (State::Starting, Effect::None),
            // The time between two starts is over, and there may be nothing to ask.
            (State::Failed, Event::Due) => (State::Idle, Effect::None),
            // What is left of a process that was ended.
            (State::Idle | State::Failed, _) => (self, Effect::None),

            (State::Starting, Event::Started) => (State::Ready, Effect::None),
            (State::Ready, Event::Ask) => (State::Asked, Effect::None),
            (State::Asked, Event::Good) => (State::Ready, Effect::Adopt),
            (State::Asked, Event::Wrong | Event::Due) => (State::Ready, Effect::Strike),

            (State::Starting, Event::Due) => (State::Failed, Effect::End),
            (_, Event::Flood) => (State::Failed, Effect::End),
            (_, Event::Ended) => (State::Failed, Effect::Bury),
            // An answer that came too late answers nothing.
            (_, Event::Noise | Event::Good | Event::Wrong) => (self, Effect::Count),
            (_, Event::Start | Event::Started | Event::Ask | Event::Due) => (self, Effect::None),
        }
    }
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start the process; say [`Event::Start`] first, then how it went.
    Start,
    /// Ask the newest question; say [`Event::Ask`].
    Ask,
}

/// What stands of a plugin's answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has given no answer yet; its first start has not failed either.
    Nothing,
    /// This, its last answer.
    Answer(Answer),
    /// It fails: this, its last good answer, for a while.
    Kept(Answer),
    /// It fails, and its last good answer is too old: the declared fallback.
    Fallback,
}

/// The conduct of one plugin.
#[derive(Debug, Clone)]
pub struct Conduct {
    deadline: Duration,
    state: State,
    /// When the state's time is over.
    until: Option<Duration>,
    /// Something is to be asked.
    wanted: bool,
    strikes: u32,
    noise: u32,
    /// Processes that failed one after another.
    failures: u32,
    started: Duration,
    answer: Option<Answer>,
    failing_since: Option<Duration>,
}

impl Conduct {
    /// One that has this long for an answer.
    #[must_use]
    pub fn new(deadline: Duration) -> Conduct {
        Conduct {
            deadline,
            state: State::Idle,
            until: None,
            wanted: false,
            strikes: 0,
            noise: 0,
            failures: 0,
            started: Duration::ZERO,
            answer: None,
            failing_since: None,
        }
    }

    /// One that follows another, or another hostd: what was answered before stands for a while.
    #[must_use]
    pub fn after(deadline: Duration, answer: Answer) -> Conduct {
        let failing_since = Some(Duration::ZERO);
        Conduct { answer: Some(answer), failing_since, ..Conduct::new(deadline) }
    }

    /// There is something new to ask, or nothing that could be asked.
    pub fn want(&mut self, something: bool) {
        self.wanted = something;
    }

    /// What is to be done now, if anything.
    #[must_use]
    pub fn next(&self) -> Option<Action> {
        match self.state {
            State::Idle if self.wanted => Some(Action::Start),
            State::Ready if self.wanted => Some(Action::Ask),
            _ => None,
        }
    }

    /// Take in what happened; `true` when the process, if there is one, is to be ended.
    pub fn on(&mut self, event: Event, now: Duration) -> bool {
        let (next, effect) = self.state.on(event);
        let fails = match effect {
            Effect::None | Effect::Adopt => false,
            Effect::Strike => {
                self.strikes += 1;
                self.failing_since.get_or_insert(now);
                self.strikes >= STRIKES
            }
            Effect::Count => {
                self.noise += 1;
                self.noise > NOISE
            }
            Effect::End | Effect::Bury => true,
        };
        if fails {
            self.fail(now);
        } else if next != self.state {
            self.enter(next, now);
        }
        fails
    }

    /// A good answer came; `true` when nobody asked for it, and the process is to be ended.
    pub fn adopt(&mut self, answer: Answer, now: Duration) -> bool {
        let asked = self.state.on(Event::Good).1 == Effect::Adopt;
        let fails = self.on(Event::Good, now);
        if asked {
            self.answer = Some(answer);
            (self.strikes, self.noise, self.failing_since) = (0, 0, None);
            if now.saturating_sub(self.started) >= STEADY {
                self.failures = 0;
            }
        }
        fails
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// What stands of its answers.
    #[must_use]
    pub fn standing(&self, now: Duration) -> Standing {
        match (&self.answer, self.failing_since) {
            (Some(answer), None) => Standing::Answer(answer.clone()),
            (Some(answer), Some(since)) if now < since + KEPT => Standing::Kept(answer.clone()),
            (_, Some(_)) => Standing::Fallback,
            (None, None) => Standing::Nothing,
        }
    }

    /// When [`Event::Due`] is to be told, or [`Conduct::standing`] changes by itself.
    #[must_use]
    pub fn deadline(&self, now: Duration) -> Option<Duration> {
        let too_old =
            self.failing_since.filter(|_| self.answer.is_some()).map(|since| since + KEPT);
        self.until.into_iter().chain(too_old.filter(|at| *at > now)).min()
    }

    /// Whether the time of its state is over.
    #[must_use]
    pub fn is_due(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    fn enter(&mut self, state: State, now: Duration) {
        self.state = state;
        self.until = match state {
            State::Idle | State::Ready => None,
            State::Starting => Some(now + START),
            State::Asked => Some(now + self.deadline),
            State::Failed => Some(now + self.pause()),
        };
        match state {
            State::Starting => (self.started, self.strikes, self.noise) = (now, 0, 0),
            State::Asked => (self.wanted, self.noise) = (false, 0),
            _ => {}
        }
    }

    /// The process is gone, or is to go.
    fn fail(&mut self, now: Duration) {
        self.failing_since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        // What it was asked is to be asked again.
        self.wanted = true;
        self.enter(State::Failed, now);
    }

    fn pause(&self) -> Duration {
        // 2^31 first pauses are longer than any longest one.
        let doublings = self.failures.saturating_sub(1).min(31);
        FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests;
