use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use manifest_spec::plugin::Answer;
use proptest::prelude::*;

use super::{Action, Conduct, Effect, Event, KEPT, Standing, State};

/// The table as text: what does nothing, and leaves the state as it is, on one line.
fn table() -> String {
    let mut text = String::new();
    for state in State::ALL {
        let mut idle = Vec::new();
        for event in Event::ALL {
            match state.on(event) {
                (next, Effect::None) if next == state => idle.push(format!("{event:?}")),
                (next, effect) => {
                    let (state, event) = (format!("{state:?}"), format!("{event:?}"));
                    let next = format!("{next:?}");
                    writeln!(text, "{state:8} {event:7} -> {next:8} {effect:?}").unwrap();
                }
            }
        }
        writeln!(text, "{:8} nothing by {}\n", format!("{state:?}"), idle.join(", ")).unwrap();
    }
    text
}

#[test]
#[allow(clippy::disallowed_methods)] // asks whether the golden file is to be written anew
fn the_table_is_the_one_on_file() {
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plugin/conduct/table.txt");
        std::fs::write(path, table()).unwrap();
        return;
    }
    assert_eq!(table(), include_str!("table.txt"));
}

const DEADLINE: Duration = Duration::from_secs(1);

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn answer(weight: u32) -> Answer {
    Answer::Weights(BTreeMap::from([("a".to_owned(), weight)]))
}

/// One that was asked its first question at this time.
fn asked(now: Duration) -> Conduct {
    let mut conduct = Conduct::new(DEADLINE);
    assert_eq!(conduct.next(), None, "nothing is started before there is something to ask");
    conduct.want(true);
    assert_eq!(conduct.next(), Some(Action::Start));
    for event in [Event::Start, Event::Started] {
        assert!(!conduct.on(event, now));
    }
    ask(&mut conduct, now);
    conduct
}

fn ask(conduct: &mut Conduct, now: Duration) {
    conduct.want(true);
    assert_eq!(conduct.next(), Some(Action::Ask));
    assert!(!conduct.on(Event::Ask, now));
    assert_eq!(conduct.next(), None, "one question at a time");
}

#[test]
fn a_good_one_is_asked_again_and_again() {
    let mut conduct = asked(at(0));
    assert_eq!(conduct.standing(at(0)), Standing::Nothing);
    for round in 1..100 {
        assert!(!conduct.adopt(answer(round), at(1000 * u64::from(round))));
        assert_eq!(conduct.standing(at(u64::MAX)), Standing::Answer(answer(round)));
        ask(&mut conduct, at(1000 * u64::from(round)));
    }
}

#[test]
fn a_slow_one_keeps_its_word_for_a_while_and_is_ended_after_three_times() {
    let mut conduct = asked(at(0));
    assert!(!conduct.adopt(answer(1), at(10)));
    for (time, ends) in [(1000, false), (2000, false), (3000, true)] {
        ask(&mut conduct, at(time));
        assert_eq!(conduct.deadline(at(time)), Some(at(time) + DEADLINE));
        assert!(!conduct.is_due(at(time + 999)));
        assert_eq!(conduct.on(Event::Due, at(time + 1000)), ends);
        // The answer that comes late is nobody's.
        assert_eq!(conduct.standing(at(time + 1000)), Standing::Kept(answer(1)));
    }
    let too_old = at(2000) + KEPT;
    assert_eq!(conduct.standing(too_old - at(1)), Standing::Kept(answer(1)));
    assert_eq!(conduct.standing(too_old), Standing::Fallback);
    assert_eq!(conduct.state(), State::Failed);
    assert_eq!(conduct.deadline(at(4000)), Some(at(4100)), "it is started again soon");
    conduct.on(Event::Due, at(4100));
    assert_eq!(conduct.deadline(at(4100)), Some(too_old), "and the answer grows old meanwhile");
}

#[test]
fn a_wrong_one_has_three_strikes_and_a_good_answer_clears_them() {
    let mut conduct = asked(at(0));
    for _ in 0..2 {
        assert!(!conduct.on(Event::Wrong, at(1)));
        ask(&mut conduct, at(1));
    }
    assert_eq!(conduct.standing(at(1)), Standing::Fallback, "it never gave an answer");
    assert!(!conduct.adopt(answer(1), at(2)));
    assert_eq!(conduct.standing(at(2)), Standing::Answer(answer(1)));
    for ends in [false, false, true] {
        ask(&mut conduct, at(3));
        assert_eq!(conduct.on(Event::Wrong, at(3)), ends);
    }
}

#[test]
fn a_noisy_one_is_ended() {
    let mut conduct = asked(at(0));
    for _ in 0..64 {
        assert!(!conduct.on(Event::Noise, at(1)));
    }
    assert!(!conduct.adopt(answer(1), at(2)));
    for line in 0..65 {
        // An answer that nobody asked for is noise as well.
        let ended = match line % 2 {
            0 => conduct.adopt(answer(9), at(3)),
            _ => conduct.on(Event::Noise, at(3)),
        };
        assert_eq!(ended, line == 64, "{line}");
        assert_eq!(conduct.standing(at(3)) == Standing::Answer(answer(1)), !ended);
    }
    assert!(asked(at(0)).on(Event::Flood, at(1)));
}

#[test]
fn a_dead_one_is_started_ever_more_slowly() {
    let mut conduct = asked(at(0));
    let mut now = at(0);
    for expected in [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000] {
        assert!(conduct.on(Event::Ended, now));
        assert_eq!(conduct.deadline(now), Some(now + at(expected)));
        now += at(expected);
        assert!(!conduct.on(Event::Due, now));
        assert_eq!(conduct.next(), Some(Action::Start), "what it was asked is asked again");
        conduct.on(Event::Start, now);
        conduct.on(Event::Started, now);
        conduct.on(Event::Ask, now);
    }
    // A good answer alone does not make up for that, ten good seconds do.
    assert!(!conduct.adopt(answer(1), now));
    assert!(conduct.clone().on(Event::Ended, now));
    let mut steady = conduct;
    ask(&mut steady, now + at(10_000));
    assert!(!steady.adopt(answer(1), now + at(10_001)));
    steady.on(Event::Ended, now + at(10_001));
    assert_eq!(steady.deadline(now + at(10_001)), Some(now + at(10_101)));
}

#[test]
fn what_stood_before_stands_until_it_is_too_old_or_there_is_a_new_answer() {
    let mut conduct = Conduct::after(DEADLINE, answer(7));
    assert_eq!(conduct.standing(at(0)), Standing::Kept(answer(7)));
    assert_eq!(conduct.deadline(at(0)), Some(KEPT));
    assert_eq!(conduct.clone().standing(KEPT), Standing::Fallback);
    conduct.want(true);
    for event in [Event::Start, Event::Started, Event::Ask] {
        conduct.on(event, at(1));
    }
    assert!(!conduct.adopt(answer(8), at(2)));
    assert_eq!(conduct.standing(at(u64::MAX)), Standing::Answer(answer(8)));
}

#[test]
fn one_that_does_not_start_in_time_is_ended() {
    let mut conduct = Conduct::new(DEADLINE);
    conduct.want(true);
    conduct.on(Event::Start, at(0));
    assert_eq!(conduct.deadline(at(0)), Some(at(60_000)));
    assert!(conduct.on(Event::Due, at(60_000)));
    assert_eq!(conduct.standing(at(60_000)), Standing::Fallback);
}

proptest! {
    /// Whatever happens in whatever order: it is known when it goes on, and nothing is asked of a
    /// process that is not there.
    #[test]
    fn it_always_goes_on(events in prop::collection::vec((0..Event::ALL.len(), 0..5000_u64), 0..200)) {
        let mut conduct = Conduct::new(DEADLINE);
        let (mut now, mut runs) = (at(0), false);
        conduct.want(true);
        for (event, wait) in events {
            now += at(wait);
            let event = Event::ALL[event];
            match conduct.next() {
                Some(Action::Start) => {
                    prop_assert!(!runs);
                    conduct.on(Event::Start, now);
                }
                Some(Action::Ask) => {
                    prop_assert!(runs, "there is a process");
                    conduct.on(Event::Ask, now);
                }
                None => {}
            }
            let ends = match event {
                Event::Good => conduct.adopt(answer(1), now),
                event => conduct.on(event, now),
            };
            runs = !ends && conduct.state() != State::Failed && conduct.state() != State::Idle;
            if matches!(conduct.state(), State::Starting | State::Asked | State::Failed) {
                prop_assert!(conduct.deadline(now).is_some());
            }
            prop_assert!(conduct.deadline(now).is_none_or(|at| at <= now + at_most()));
        }
    }
}

fn at_most() -> Duration {
    Duration::from_secs(60)
}
