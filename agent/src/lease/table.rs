//! The life of a lease: states, events, and the one table that joins them.
//!
//! Invariant: pure and total. Nothing becomes held but what was requested and free, and what was
//! held is free again only by way of quarantine, or because the host was started anew. Never asks
//! whether an event is true: [`super::ledger`] finds that out.

use serde::Serialize;

/// Where a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Asked for; nobody has it yet.
    Requested,
    /// Its holder has it.
    Held,
    /// Its holder is gone, a process that the holder started is not.
    Draining,
    /// Nobody has it any more, and it is not known to be unused.
    Quarantined,
    /// To be had. The ledger has no row for it.
    Free,
}

/// What can happen to a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody asks for it.
    Request,
    /// Nothing is in the way.
    Grant,
    /// Something is.
    Refuse,
    /// The holder gives it back, or somebody does for it.
    Release,
    /// The holder's process has ended.
    HolderDied,
    /// What the holder had started has ended too.
    Drained,
    /// It was tried out, and nobody uses it.
    ProvedFree,
    /// It was tried out, and somebody does.
    ProvedTaken,
    /// The host was started anew.
    Boot,
}

impl State {
    /// The state after an event; the same one where the event means nothing.
    pub fn after(self, event: Event) -> State {
        match (self, event) {
            (State::Free, Event::Request) => State::Requested,
            (State::Requested, Event::Grant) => State::Held,
            (State::Requested, Event::Refuse | Event::Release | Event::HolderDied) => State::Free,
            (State::Held | State::Draining, Event::Release) => State::Quarantined,
            (State::Held, Event::HolderDied) => State::Draining,
            (State::Draining, Event::Drained) => State::Quarantined,
            (State::Quarantined, Event::ProvedFree) => State::Free,
            (_, Event::Boot) => State::Free,
            (state, _) => state,
        }
    }

    /// As the ledger writes it.
    pub fn name(self) -> &'static str {
        match self {
            State::Requested => "requested",
            State::Held => "held",
            State::Draining => "draining",
            State::Quarantined => "quarantined",
            State::Free => "free",
        }
    }

    /// The state with this name.
    pub fn named(name: &str) -> Option<State> {
        const ALL: [State; 5] =
            [State::Requested, State::Held, State::Draining, State::Quarantined, State::Free];
        ALL.into_iter().find(|state| state.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: [Event; 9] = [
        Event::Request,
        Event::Grant,
        Event::Refuse,
        Event::Release,
        Event::HolderDied,
        Event::Drained,
        Event::ProvedFree,
        Event::ProvedTaken,
        Event::Boot,
    ];

    proptest! {
        #[test]
        fn every_way_to_held_and_back_is_the_long_one(events in prop::collection::vec(0_usize..9, 0..60)) {
            let mut state = State::Free;
            for event in events.into_iter().map(|index| EVENTS[index]) {
                let next = state.after(event);
                if next == State::Held && state != State::Held {
                    prop_assert_eq!((state, event), (State::Requested, Event::Grant));
                }
                if next == State::Free && state != State::Free && event != Event::Boot {
                    prop_assert!(matches!(state, State::Requested | State::Quarantined));
                }
                if state == State::Quarantined && next != state {
                    prop_assert!(matches!(event, Event::ProvedFree | Event::Boot));
                }
                state = next;
            }
        }
    }

    #[test]
    fn a_name_stands_for_one_state() {
        for event in EVENTS {
            let state = State::Free.after(event);
            assert_eq!(State::named(state.name()), Some(state));
        }
        assert_eq!(State::named("lost"), None);
    }
}
