//! One foreground run over time: a total table of states and events.
//!
//! Invariant: every pair of state and event has a row; once the program has ended nothing starts
//! again; whatever happens, the way to [`State::Over`] is open.

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The sandbox is being built.
    Starting,
    /// The program runs.
    Running,
    /// The program was asked to end; the clock runs.
    Stopping,
    /// The program has ended, what it left behind is ending; the clock runs.
    Closing,
    /// Nothing is left.
    Over,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Every wall stands and the program starts.
    Ready,
    /// A step failed; nothing was started.
    Failed,
    /// Somebody wants the run to end, with this signal.
    StopAsked(i32),
    /// Somebody who asked before asks again.
    StopInsisted,
    /// A signal meant for the program.
    Passed(i32),
    /// The program ended.
    ProgramEnded,
    /// Process 1, and with it everything, has ended.
    Gone,
    /// The clock ran out.
    TimeUp,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    None,
    /// Send the program this signal.
    Send(i32),
    /// Send the program this signal and start the clock.
    Stop(i32),
    /// Start the clock.
    StartClock,
    /// End everything by force.
    Kill,
}

impl State {
    /// The table.
    pub(super) fn on(self, event: Event) -> (State, Action) {
        use Action::{Kill, None, Send, StartClock, Stop};
        use Event as E;
        use State::{Closing, Over, Running, Starting, Stopping};
        match (self, event) {
            (_, E::Gone) => (Over, None),
            (Over, _) => (Over, None),

            (Starting, E::Ready) => (Running, None),
            (Starting, E::Failed | E::ProgramEnded) => (Closing, StartClock),
            // The program has no process yet that could be asked.
            (Starting, E::StopAsked(_) | E::StopInsisted | E::TimeUp) => (Closing, Kill),
            (Starting, E::Passed(_)) => (Starting, None),

            (Running, E::StopAsked(signal)) => (Stopping, Stop(signal)),
            (Running, E::Passed(signal)) => (Running, Send(signal)),
            (Running, E::ProgramEnded | E::Failed) => (Closing, StartClock),
            (Running, E::StopInsisted) => (Closing, Kill),
            (Running, E::Ready | E::TimeUp) => (Running, None),

            (Stopping, E::ProgramEnded | E::Failed) => (Closing, None),
            (Stopping, E::StopInsisted | E::TimeUp) => (Closing, Kill),
            (Stopping, E::Passed(signal)) => (Stopping, Send(signal)),
            (Stopping, E::StopAsked(_) | E::Ready) => (Stopping, None),

            (Closing, E::StopInsisted | E::TimeUp) => (Closing, Kill),
            (Closing, E::Passed(_) | E::StopAsked(_)) => (Closing, None),
            (Closing, E::Ready | E::Failed | E::ProgramEnded) => (Closing, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 5] =
        [State::Starting, State::Running, State::Stopping, State::Closing, State::Over];
    const EVENTS: [Event; 8] = [
        Event::Ready,
        Event::Failed,
        Event::StopAsked(15),
        Event::StopInsisted,
        Event::Passed(10),
        Event::ProgramEnded,
        Event::Gone,
        Event::TimeUp,
    ];

    #[test]
    fn an_ended_program_never_runs_again() {
        for event in EVENTS {
            assert!(matches!(State::Closing.on(event).0, State::Closing | State::Over));
            assert_eq!(State::Over.on(event), (State::Over, Action::None));
        }
    }

    #[test]
    fn from_everywhere_a_stop_and_a_clock_lead_to_the_end() {
        for state in STATES {
            let (asked, _) = state.on(Event::StopAsked(15));
            let (late, action) = asked.on(Event::TimeUp);
            assert!(asked == State::Over || action == Action::Kill, "{state:?}");
            assert_eq!(late.on(Event::Gone).0, State::Over);
        }
    }

    #[test]
    fn only_a_running_program_is_signalled() {
        for state in STATES {
            let signalled = matches!(state.on(Event::Passed(10)).1, Action::Send(10));
            assert_eq!(signalled, matches!(state, State::Running | State::Stopping), "{state:?}");
        }
    }
}
