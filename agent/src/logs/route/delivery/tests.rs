use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// The table as text: what does nothing, and leaves the state as it is, on one line.
fn table() -> String {
    let mut text = String::new();
    for state in State::ALL {
        let mut idle = Vec::new();
        for event in Event::ALL {
            match state.on(event) {
                (next, Action::None) if next == state => idle.push(format!("{event:?}")),
                (next, action) => {
                    let (state, event) = (format!("{state:?}"), format!("{event:?}"));
                    let next = format!("{next:?}");
                    writeln!(text, "{state:8} {event:9} -> {next:8} {action:?}").unwrap();
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
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/logs/route/delivery/table.txt");
        std::fs::write(path, table()).unwrap();
        return;
    }
    assert_eq!(table(), include_str!("table.txt"));
}

/// A sink that may do anything, and what it has.
#[derive(Debug)]
struct Peer {
    /// Records that it never takes.
    poison: Vec<bool>,
    /// Most records of a request.
    most: usize,
    /// What it does with one request after the other; all is well when none is left.
    moods: std::vec::IntoIter<Mood>,
    has: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Mood {
    Fine,
    /// Takes so many, then the line is cut.
    Cut(usize),
    Busy(Option<u64>),
    /// Answers that it took all, of a request it did not get whole: a verdict is its word.
    Nonsense(usize),
}

impl Peer {
    fn ask(&mut self, records: &[usize]) -> Answer {
        let fine: Vec<usize> =
            records.iter().copied().take_while(|record| !self.poison[*record]).collect();
        match self.moods.next().unwrap_or(Mood::Fine) {
            Mood::Cut(taken) => {
                let taken = taken.min(fine.len());
                self.has.extend(&fine[..taken]);
                Answer::failed("cut").after(taken)
            }
            Mood::Busy(seconds) => {
                Answer::none(Verdict::Busy(seconds.map(Duration::from_secs)), "busy")
            }
            // More than were sent can't be taken.
            Mood::Nonsense(more) if fine.len() == records.len() => {
                self.has.extend(&fine);
                Answer::failed("nonsense").after(records.len() + more)
            }
            Mood::Nonsense(_) | Mood::Fine if records.len() > self.most => {
                Answer::none(Verdict::TooLarge, "too large")
            }
            Mood::Nonsense(_) | Mood::Fine if fine.len() < records.len() => {
                Answer::none(Verdict::Refused, "refused")
            }
            Mood::Nonsense(_) | Mood::Fine => {
                self.has.extend(records);
                Answer::taken(records.len())
            }
        }
    }
}

fn moods() -> impl Strategy<Value = Vec<Mood>> {
    let mood = prop_oneof![
        4 => Just(Mood::Fine),
        2 => (0_usize..9).prop_map(Mood::Cut),
        1 => proptest::option::of(0_u64..99).prop_map(Mood::Busy),
        1 => (0_usize..9).prop_map(Mood::Nonsense),
    ];
    proptest::collection::vec(mood, 0..60)
}

proptest! {
    /// Whatever a sink answers, each record is delivered once and in order, or parked, or waits.
    #[test]
    fn each_record_is_delivered_once_or_parked_or_waits(
        poison in proptest::collection::vec(proptest::bool::weighted(0.1), 1..120),
        sizes in proptest::collection::vec(1_usize..40, 1..20),
        most in 0_usize..50,
        moods in moods(),
        park_fails in proptest::collection::vec(proptest::bool::weighted(0.3), 0..9),
        steps in 0_usize..2000,
        jitter in 0.0_f64..1.0,
    ) {
        let records = poison.len();
        let mut peer = Peer { poison, most: most.max(1), moods: moods.into_iter(), has: Vec::new() };
        let mut park_fails = park_fails.into_iter();
        let mut sizes = sizes.into_iter().cycle();
        let mut delivery = Delivery::new(Pauses::default());
        let (mut off, mut read, mut parked, mut waited) = (0, 0, Vec::new(), Duration::ZERO);
        let mut next = Next::Finish;
        for _ in 0..steps {
            prop_assert_eq!(delivery.left(), read - off);
            next = match next {
                Next::Send(count) => {
                    prop_assert!(count > 0 && off + count <= read);
                    let part: Vec<usize> = (off..off + count).collect();
                    let answer = peer.ask(&part);
                    let next = delivery.answered(&answer, jitter);
                    off = read - delivery.left();
                    next
                }
                Next::Park => {
                    let done = !park_fails.next().unwrap_or(false);
                    if done {
                        parked.push(off);
                    }
                    let next = delivery.parked(done, jitter);
                    off = read - delivery.left();
                    next
                }
                Next::Wait(wait) => {
                    prop_assert!(wait >= Pauses::default().first / 2);
                    prop_assert!(wait <= Duration::from_secs(99));
                    waited += wait;
                    delivery.rested()
                }
                Next::Finish if read == records => break,
                Next::Finish => {
                    let batch = sizes.next().unwrap_or(1).min(records - read);
                    read += batch;
                    delivery.begin(batch)
                }
            };
        }
        let mut known: Vec<usize> = peer.has.iter().chain(&parked).copied().collect();
        known.sort_unstable();
        prop_assert_eq!(known, (0..off).collect::<Vec<_>>(), "once, and none left out");
        prop_assert!(peer.has.is_sorted() && parked.is_sorted());
        prop_assert!(parked.iter().all(|record| peer.poison[*record]), "only poison is parked");
        if steps == 1999 {
            prop_assert_eq!(next, Next::Finish);
        }
    }
}

/// Answers with this verdict until something else than sending is asked for; how often it was.
fn until_rest(delivery: &mut Delivery, verdict: Verdict, mut next: Next) -> (Next, u32, u32) {
    let (mut sent, mut parked) = (0, 0);
    loop {
        next = match next {
            Next::Send(_) => {
                sent += 1;
                delivery.answered(&Answer::none(verdict, "no"), 0.0)
            }
            Next::Park => {
                parked += 1;
                delivery.parked(true, 0.0)
            }
            next => return (next, sent, parked),
        };
    }
}

#[test]
fn a_sink_that_refuses_everything_is_doubted() {
    let mut delivery = Delivery::new(Pauses::default());
    let mut next = delivery.begin(1000);
    let (rest, _, parked) = until_rest(&mut delivery, Verdict::Refused, next);
    assert_eq!((rest, parked), (Next::Wait(Duration::from_millis(250)), DOUBT));
    let mut waited = Vec::new();
    for _ in 0..10 {
        next = delivery.rested();
        let (rest, _, parked) = until_rest(&mut delivery, Verdict::Refused, next);
        assert_eq!(parked, 1, "one record a wait");
        let Next::Wait(wait) = rest else { panic!("{rest:?}") };
        waited.push(wait.as_millis());
    }
    assert_eq!(waited, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000]);
    // One that is taken ends the doubt.
    let Next::Send(part) = delivery.rested() else { panic!() };
    let next = delivery.answered(&Answer::taken(part), 0.0);
    let (_, _, parked) = until_rest(&mut delivery, Verdict::Refused, next);
    assert_eq!(parked, DOUBT);
}

#[test]
fn a_poison_record_is_found_by_halving() {
    let mut delivery = Delivery::new(Pauses::default());
    let mut next = delivery.begin(4096);
    let (mut off, mut sent, mut parked) = (0, 0, Vec::new());
    loop {
        next = match next {
            Next::Send(count) => {
                sent += 1;
                let answer = match (off..off + count).contains(&2718) {
                    true => Answer::none(Verdict::Refused, "poison"),
                    false => Answer::taken(count),
                };
                delivery.answered(&answer, 0.0)
            }
            Next::Park => {
                parked.push(off);
                delivery.parked(true, 0.0)
            }
            Next::Finish => break,
            Next::Wait(wait) => panic!("nothing failed: {wait:?}"),
        };
        off = 4096 - delivery.left();
    }
    assert_eq!(parked, [2718]);
    assert_eq!(sent, 1 + 2 * 12, "the whole, then two halves in each of log2 4096 steps");
}

#[test]
fn what_was_too_large_is_not_tried_at_once_again() {
    let mut delivery = Delivery::new(Pauses::default());
    let sizes = |delivery: &mut Delivery, batch: usize| {
        let (mut next, mut sizes) = (delivery.begin(batch), Vec::new());
        while let Next::Send(count) = next {
            sizes.push(count);
            let answer = match count > 100 {
                true => Answer::none(Verdict::TooLarge, "413"),
                false => Answer::taken(count),
            };
            next = delivery.answered(&answer, 0.0);
        }
        sizes
    };
    assert_eq!(sizes(&mut delivery, 320), [320, 160, 80, 80, 160, 80, 80]);
    let again = sizes(&mut delivery, 320);
    assert!(again.iter().all(|size| *size <= 100), "{again:?}");
}

#[test]
fn the_wait_is_what_the_sink_asks_for() {
    let mut delivery = Delivery::new(Pauses::default());
    let answer = |wait| Answer::none(Verdict::Busy(wait), "busy");
    delivery.begin(5);
    let seven = Some(Duration::from_secs(7));
    for _ in 0..9 {
        assert_eq!(delivery.answered(&answer(seven), 0.9), Next::Wait(Duration::from_secs(7)));
        assert_eq!(delivery.rested(), Next::Send(5));
    }
    // None at all would be a request after the other.
    let none = delivery.answered(&answer(Some(Duration::ZERO)), 0.0);
    assert_eq!(none, Next::Wait(Duration::from_millis(250)));
    delivery.rested();
    let unsaid = delivery.answered(&answer(None), 0.0);
    assert_eq!(unsaid, Next::Wait(Duration::from_secs(30)), "as for any failure");
}
