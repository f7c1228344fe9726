#![allow(clippy::disallowed_methods)] // the environment says whether goldens are rewritten

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

const START: Duration = Duration::from_secs(1000);

fn seconds(seconds: u64) -> Duration {
    START + Duration::from_secs(seconds)
}

fn launched() -> Instance {
    let mut instance = Instance::new(Timing::default(), START);
    assert_eq!(instance.on(Happening::Launch, START, 0.0), Action::Start);
    instance
}

fn exit(code: u8) -> Happening {
    Happening::Ended(Ending::Exit(code))
}

fn said(instance: &Instance) -> String {
    instance.reason().map(ToString::to_string).unwrap_or_default()
}

/// Let it end until the breaker opens; the time of the last end.
fn broken(instance: &mut Instance) -> Duration {
    let mut now = START;
    loop {
        match instance.on(exit(1), now, 0.5) {
            Action::Wait => now = instance.deadline().unwrap(),
            Action::OpenBreaker => return now,
            other => panic!("{other:?}"),
        }
        assert_eq!(instance.due(now, 0.5), Action::Start);
    }
}

/// The whole table, as a reader wants it: only what changes something, and what does nothing.
fn table() -> String {
    let mut text = String::new();
    for state in State::ALL {
        let mut nothing = Vec::new();
        for event in Event::ALL {
            let (next, action) = state.on(event);
            if (next, action) == (state, Action::None) {
                nothing.push(format!("{event:?}"));
            } else {
                let (state, event) = (state.name(), format!("{event:?}"));
                writeln!(text, "{state:<12} {event:<8} -> {:<12} {action:?}", next.name()).unwrap();
            }
        }
        writeln!(text, "{:<12} nothing by {}\n", state.name(), nothing.join(", ")).unwrap();
    }
    text
}

#[test]
fn the_table_is_the_one_in_the_file() {
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/supervise/instance/table.txt");
        std::fs::write(path, table()).unwrap();
        return;
    }
    assert_eq!(table(), include_str!("table.txt"));
}

#[test]
fn from_everywhere_stop_and_an_end_lead_to_stopped() {
    for state in State::ALL {
        let (asked, _) = state.on(Event::Stop);
        for end in [Event::Ended, Event::GaveUp] {
            assert_eq!(asked.on(end).0, State::Stopped, "{state}");
        }
    }
}

#[test]
fn only_launch_and_retry_start_and_only_launch_starts_what_is_stopped() {
    for state in State::ALL {
        for event in Event::ALL {
            let (next, action) = state.on(event);
            let starts = next == State::Starting && state != State::Starting;
            assert_eq!(starts, action == Action::Start, "{state} {event:?}");
            assert!(!starts || matches!(event, Event::Launch | Event::Retry), "{state} {event:?}");
            assert!(!starts || !state.is_alive(), "{state} {event:?}");
            if state == State::Stopped && next != state {
                assert_eq!((next, event), (State::Starting, Event::Launch));
            }
        }
    }
}

#[test]
fn a_process_leaves_by_its_end_alone() {
    for state in State::ALL.into_iter().filter(|state| state.is_alive()) {
        for event in Event::ALL {
            let ended = matches!(event, Event::Ended | Event::GaveUp);
            assert_eq!(!state.on(event).0.is_alive(), ended, "{state} {event:?}");
        }
    }
}

#[test]
fn who_is_asked_to_end_was_alive_and_not_asked_before() {
    for state in State::ALL {
        for event in Event::ALL {
            if state.on(event).1 == Action::AskToEnd {
                let unasked = [State::Starting, State::Ready, State::Running, State::Draining];
                assert!(unasked.contains(&state), "{state} {event:?}");
            }
        }
    }
}

#[test]
fn names_are_read_back() {
    for state in State::ALL {
        assert_eq!(State::named(state.name()), Some(state));
    }
    assert_eq!(State::named("lost"), None);
}

#[test]
fn waits_double_and_end_at_the_longest() {
    let timing = Timing::default();
    let waits: Vec<_> = (1..12).map(|n| timing.wait(n, 1.0).as_millis()).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000]);
    assert_eq!(timing.wait(1, 0.0), Duration::from_millis(50));
    assert_eq!(timing.wait(2, 0.5), Duration::from_millis(150));
    assert_eq!(timing.wait(0, 0.0), Duration::from_millis(50));
    assert_eq!(timing.wait(u32::MAX, f64::NAN), Duration::from_secs(30));
}

#[test]
fn a_service_that_ends_after_being_steady_fails_for_the_first_time() {
    let mut web = launched();
    assert_eq!(web.on(exit(1), seconds(1), 0.0), Action::Wait);
    assert_eq!(web.due(seconds(2), 0.0), Action::Start);
    assert_eq!(web.on(Happening::Ready, seconds(3), 0.0), Action::None);
    assert_eq!((web.state(), web.failures(), web.restarts()), (State::Ready, 1, 1));
    assert_eq!(web.due(seconds(12), 0.0), Action::None);
    assert_eq!(web.state(), State::Ready);
    assert_eq!(web.due(seconds(13), 0.0), Action::None);
    assert_eq!((web.state(), web.failures(), web.restarts()), (State::Running, 0, 1));
    assert_eq!(web.deadline(), None);
    assert_eq!(web.on(exit(0), seconds(99), 0.0), Action::Wait);
    assert_eq!((web.failures(), said(&web)), (1, "exited with 0".to_owned()));
    assert_eq!(web.gave_up(), None);
}

#[test]
fn it_was_steady_although_nobody_looked() {
    let mut web = launched();
    web.on(exit(1), seconds(0), 0.0);
    web.due(seconds(1), 0.0);
    web.on(Happening::Ready, seconds(1), 0.0);
    web.on(exit(1), seconds(11), 0.0);
    assert_eq!(web.failures(), 1);
}

#[test]
fn an_end_soon_after_being_ready_counts_on() {
    let mut web = launched();
    for failures in 1..8 {
        web.on(Happening::Ready, web.since(), 0.0);
        web.on(exit(1), web.since() + Duration::from_secs(9), 0.0);
        assert_eq!((web.state(), web.failures()), (State::BackingOff, failures));
        assert_eq!(web.gave_up(), None);
        web.due(web.deadline().unwrap(), 0.0);
    }
    web.on(Happening::Ready, web.since(), 0.0);
    assert_eq!(web.on(exit(1), web.since(), 0.0), Action::OpenBreaker);
    assert!(web.gave_up().is_some());
}

#[test]
fn the_breaker_keeps_saying_why_until_it_is_steady() {
    const WHY: &str = "ended 8 times in a row, last: exited with 1; tried again every 5 min";
    let mut web = launched();
    let now = broken(&mut web);
    assert_eq!((web.state(), web.failures(), web.restarts()), (State::Failed, 8, 7));
    assert_eq!(said(&web), WHY);
    let again = now + Duration::from_secs(300);
    assert_eq!(web.deadline(), Some(again));
    assert_eq!(web.due(again, 0.0), Action::Start);
    assert_eq!(said(&web), WHY);
    // Tried again and failed again: the breaker opens at once.
    assert_eq!(web.on(exit(2), again, 0.0), Action::OpenBreaker);
    assert!(said(&web).starts_with("ended 9 times in a row, last: exited with 2;"));
    let again = web.deadline().unwrap();
    web.due(again, 0.0);
    web.on(Happening::Ready, again, 0.0);
    web.due(again + Duration::from_secs(10), 0.0);
    assert_eq!((web.failures(), said(&web)), (0, "exited with 2".to_owned()));
}

#[test]
fn somebody_who_starts_it_anew_forgets_its_failures() {
    let mut web = launched();
    let now = broken(&mut web);
    assert_eq!(web.on(Happening::Launch, now, 0.0), Action::Start);
    assert_eq!((web.failures(), web.restarts(), said(&web)), (0, 0, String::new()));
    assert_eq!(web.gave_up(), None);
}

#[test]
fn late_is_a_failure_and_the_way_it_ended_is_not_the_reason() {
    let mut web = launched();
    assert_eq!(web.due(seconds(59), 0.0), Action::None);
    assert_eq!(web.due(seconds(60), 0.0), Action::AskToEnd);
    assert_eq!((web.state(), said(&web)), (State::Unhealthy, "not ready within 60 s".to_owned()));
    assert!(web.gave_up().is_some());
    // Too late is too late.
    assert_eq!(web.on(Happening::Ready, seconds(61), 0.0), Action::None);
    assert_eq!(web.on(Happening::Ended(Ending::Killed), seconds(62), 0.0), Action::Wait);
    assert_eq!(said(&web), "not ready within 60 s");
}

#[test]
fn a_sick_one_is_ended_and_started_again() {
    let mut web = launched();
    web.on(Happening::Ready, seconds(1), 0.0);
    web.due(seconds(11), 0.0);
    let sick = Happening::Sick("GET /up answered 503".to_owned());
    assert_eq!(web.on(sick, seconds(20), 0.0), Action::AskToEnd);
    assert!(!web.is_serving() && web.is_alive());
    assert_eq!(web.on(exit(0), seconds(21), 0.0), Action::Wait);
    assert_eq!(said(&web), "unhealthy: GET /up answered 503");
    assert_eq!(web.due(web.deadline().unwrap(), 0.0), Action::Start);
}

#[test]
fn stopped_while_sick_is_stopped_for_good_and_asked_once() {
    let mut web = launched();
    web.due(seconds(60), 0.0);
    assert_eq!(web.on(Happening::Stop, seconds(61), 0.0), Action::None);
    assert_eq!(web.on(exit(0), seconds(62), 0.0), Action::None);
    assert_eq!((web.state(), web.deadline()), (State::Stopped, None));
}

#[test]
fn endings_are_told_apart() {
    let endings = [
        (Ending::Exit(1), "exited with 1"),
        (Ending::Signal { number: 11, core: true }, "ended by SIGSEGV, core dumped"),
        (Ending::Signal { number: 9, core: false }, "ended by SIGKILL"),
        (Ending::Oom, "used more memory than limits.memory"),
        (Ending::Denied { call: "mount(2)".into() }, "called mount(2), which is not allowed"),
        (Ending::Killed, "did not end within its grace and was killed"),
        (Ending::NotStarted("port 80 is taken".into()), "not started: port 80 is taken"),
        (Ending::KeeperLost, "lost: the process that watched it is gone"),
    ];
    for (ending, sentence) in endings {
        let mut web = launched();
        web.on(Happening::Ended(ending), seconds(1), 0.0);
        assert_eq!(said(&web), sentence);
    }
}

#[test]
fn times_are_said_without_loss() {
    let within = |millis| Reason::Overdue(Duration::from_millis(millis)).to_string();
    assert_eq!(within(0), "not ready within 0 s");
    assert_eq!(within(1500), "not ready within 1500 ms");
    assert_eq!(within(90_000), "not ready within 90 s");
    assert_eq!(within(120_000), "not ready within 2 min");
}

#[test]
fn an_adopted_one_goes_on_where_it_was() {
    let mut web = launched();
    web.on(exit(1), seconds(0), 0.0);
    web.due(seconds(1), 0.0);
    web.on(Happening::Ready, seconds(2), 0.0);
    let memory = web.memory(seconds(8));
    // The clock has started anew.
    let mut web = Instance::adopt(Timing::default(), memory, Duration::ZERO, 0.0);
    assert_eq!((web.state(), web.failures(), web.restarts()), (State::Ready, 1, 1));
    assert_eq!((said(&web), web.owed()), ("exited with 1".to_owned(), Action::None));
    assert_eq!(web.deadline(), Some(Duration::from_secs(4)));
    web.due(Duration::from_secs(4), 0.0);
    assert_eq!(web.state(), State::Running);

    web.on(Happening::Stop, seconds(9), 0.0);
    let web = Instance::adopt(Timing::default(), web.memory(seconds(9)), START, 0.0);
    assert_eq!((web.owed(), web.deadline()), (Action::AskToEnd, None));
}

#[test]
fn a_wait_goes_on_while_nobody_is_there() {
    let mut web = launched();
    broken(&mut web);
    let mut memory = web.memory(web.since() + Duration::from_secs(100));
    let instance = Instance::adopt(Timing::default(), memory.clone(), START, 0.0);
    assert_eq!(instance.deadline(), Some(seconds(200)));
    memory.age = Duration::from_secs(1000);
    memory.reason = None;
    let mut instance = Instance::adopt(Timing::default(), memory, START, 0.0);
    assert!(instance.gave_up().is_some());
    assert_eq!(instance.due(START, 0.0), Action::Start);
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        Just(Happening::Launch),
        Just(Happening::Ready),
        Just(Happening::Sick("no answer".to_owned())),
        any::<u8>().prop_map(exit),
        Just(Happening::Ended(Ending::KeeperLost)),
        Just(Happening::Drain),
        Just(Happening::Drained),
        Just(Happening::Stop),
    ]
}

proptest! {
    /// Whatever is told in whatever order at whatever time, and whoever adopts it in between.
    #[test]
    fn what_holds_always(
        told in prop::collection::vec((prop::option::of(happening()), 0_u64..90_000), 0..200),
        jitter in 0.0_f64..1.0,
        adopted in 0_usize..200,
    ) {
        let timing = Timing::default();
        let mut instance = Instance::new(timing, START);
        let mut now = START;
        for (step, (happening, millis)) in told.into_iter().enumerate() {
            now += Duration::from_millis(millis);
            let before = instance.clone();
            let launched = happening == Some(Happening::Launch);
            let action = match happening {
                Some(happening) => instance.on(happening, now, jitter),
                None => instance.due(now, jitter),
            };
            if action == Action::Start {
                prop_assert!(!before.is_alive());
                prop_assert!(launched || before.deadline().is_some_and(|at| at <= now));
            }
            if before.state() != instance.state() {
                prop_assert_eq!(instance.since(), now);
                prop_assert!(instance.deadline().is_none_or(|at| at > now));
            }
            prop_assert!(instance.failures() <= before.failures() + 1);
            if instance.state() == State::Running {
                prop_assert_eq!(instance.failures(), 0);
            }
            let broken = instance.failures() >= timing.too_many;
            prop_assert!(instance.state() != State::BackingOff || !broken);
            prop_assert!(instance.state() != State::Failed || broken);
            let failed = matches!(
                instance.state(),
                State::Unhealthy | State::BackingOff | State::Failed
            );
            prop_assert!(!failed || instance.reason().is_some());
            if step == adopted {
                let memory = instance.memory(now);
                let again = Instance::adopt(timing, memory, now, jitter);
                prop_assert_eq!(again.state(), instance.state());
                // What was due already is due at once.
                prop_assert_eq!(again.deadline(), instance.deadline().map(|at| at.max(now)));
                prop_assert_eq!(said(&again), said(&instance));
                prop_assert_eq!(again.gave_up().is_some(), instance.gave_up().is_some());
                instance = again;
            }
        }
        instance.on(Happening::Stop, now, jitter);
        instance.on(exit(0), now, jitter);
        prop_assert_eq!(instance.state(), State::Stopped);
        prop_assert_eq!(instance.deadline(), None);
    }
}
