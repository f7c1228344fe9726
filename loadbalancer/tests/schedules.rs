//! Promise: a schedule is due when its contract says, in every zone, whatever clocks do there.
//!
//! `cron_golden.tsv` has the cases: expression, zone, an instant, the five instants after it.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test that can't go on should stop there

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use loadbalancer::schedule::{Schedule, Zone};
use manifest_spec::manifest::Days;
use manifest_spec::schedule::{Expression, ScheduleError};
use proptest::prelude::*;

const ZONES: &str = "/usr/share/zoneinfo";

fn zone(name: &str) -> Zone {
    let path = Path::new(ZONES).join(name);
    let bytes = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{} (package tzdata): {error}", path.display()));
    Zone::read(name, &bytes).unwrap()
}

fn instant(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap_or_else(|error| panic!("{text:?}: {error}")).as_second()
}

/// The year of the system's tzdata, as `tzdata.zi` has it in its first line.
fn year_of_tzdata() -> u32 {
    let text = std::fs::read_to_string(Path::new(ZONES).join("tzdata.zi")).unwrap_or_default();
    let version = text.lines().next().and_then(|line| line.strip_prefix("# version "));
    version.and_then(|version| version.get(..4)?.parse().ok()).unwrap_or(0)
}

#[test]
fn the_golden_cases_hold() {
    let cases = include_str!("cron_golden.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for case in cases {
        let fields: Vec<&str> = case.split('\t').collect();
        let [id, class, text, name, from, expected, ..] = fields[..] else { panic!("{case:?}") };
        count += 1;
        let read = Expression::parse(text, Some(Days::Either));
        match expected {
            "REJECT" => {
                let error = read.expect_err(id);
                assert!(!matches!(error, ScheduleError::Never(_)), "{id}: {error}");
                continue;
            }
            "NEVER" => {
                assert!(matches!(read, Err(ScheduleError::Never(_))), "{id}: {read:?}");
                continue;
            }
            _ => {}
        }
        let year = year_of_tzdata();
        if class == "tzdata" && year < 2026 {
            eprintln!("{id}: NOT RUN: it needs tzdata of 2026 or later, and this is of {year}");
            continue;
        }
        let expression = read.unwrap_or_else(|error| panic!("{id}: {error}"));
        let schedule = Schedule::new(expression, Arc::new(zone(name)));
        let mut at = instant(from);
        let found: Vec<String> = std::iter::from_fn(|| {
            at = schedule.next(at)?;
            Some(Timestamp::from_second(at).unwrap().to_string())
        })
        .take(5)
        .collect();
        assert_eq!(found.join(","), expected, "{id}: {text:?} in {name}");
    }
    assert_eq!(count, 99);
}

#[test]
fn what_is_no_zone_says_so() {
    let error = Zone::read("Europe/Nowhere", b"not a zone").unwrap_err();
    assert!(error.to_string().contains("Europe/Nowhere"), "{error}");
}

#[test]
fn a_zone_says_when_its_clocks_change() {
    let berlin = zone("Europe/Berlin");
    assert_eq!(berlin.change(instant("2026-03-29T01:00:00Z")), Some(3600));
    assert_eq!(berlin.change(instant("2026-10-25T01:00:00Z")), Some(-3600));
    assert_eq!(berlin.change(instant("2026-10-25T01:00:01Z")), None);
    // Far behind everything that is in its file.
    assert_eq!(berlin.offset(instant("2900-07-01T00:00:00Z")), 7200);
    assert_eq!(Zone::utc().change(0), None);
}

/// Zones whose clocks do what others' don't: half an hour, two hours, at midnight, against the sun,
/// by the moon, a day left out.
const ODD: [&str; 9] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Europe/Dublin",
    "America/Santiago",
    "Pacific/Apia",
];

fn expression() -> impl Strategy<Value = Expression> {
    let fields = (
        "\\*|\\*/[1-9]|\\*/15|[0-9]|[1-5][0-9]|0,30|5-50/7",
        "\\*|\\*/[1-9]|[0-9]|1[0-9]|2[0-3]|0-4",
        "\\*|\\*/2|[1-9]|1[0-9]|2[0-8]|L|LW|15W",
        "\\*|\\*/3|[1-9]|1[0-2]",
        "\\*|[0-7]|1-5|[0-6]L|[0-6]#[1-5]",
        prop_oneof![Just(Days::Either), Just(Days::Both)],
    );
    fields.prop_filter_map("a day that comes", |(minute, hour, day, month, weekday, days)| {
        let text = format!("{minute} {hour} {day} {month} {weekday}");
        Expression::parse(&text, Some(days)).ok()
    })
}

/// What a clock on the wall shows, minute by minute, and what an honest watchman would do: run what
/// it shows; make up for what it skipped; not run again what it shows again.
fn watched(schedule: &Schedule, from: i64, until: i64) -> Vec<i64> {
    let (zone, expression) = (schedule.zone(), schedule.expression());
    let is_shown = |shown: i64| expression.next_shown(shown) == Some(shown);
    let mut runs = Vec::new();
    let mut latest = i64::MIN;
    for at in (from..until).step_by(60) {
        let shown = at + zone.offset(at);
        let skipped = latest.saturating_add(60)..shown;
        if expression.follows_clock() {
            if is_shown(shown) {
                runs.push(at);
            }
        } else if shown > latest {
            let missed = latest != i64::MIN
                && expression.next_shown(skipped.start).is_some_and(|next| next < skipped.end);
            if is_shown(shown) || missed {
                runs.push(at);
            }
        }
        latest = latest.max(shown);
    }
    runs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn four_hundred_days_are_as_a_watchman_would_have_it(
        expression in expression(),
        zone_name in prop::sample::select(&ODD[..]),
        start in instant("2011-01-01T00:00:00Z")..instant("2036-01-01T00:00:00Z"),
    ) {
        let start = start - start.rem_euclid(60);
        let until = start + 400 * 86_400;
        let schedule = Schedule::new(expression, Arc::new(zone(zone_name)));
        // A day earlier, so that what was shown before is known at the start.
        let runs = watched(&schedule, start - 86_400, until);
        let expected: Vec<i64> = runs.into_iter().filter(|at| *at > start).collect();
        let mut at = start;
        let found: Vec<i64> = std::iter::from_fn(|| {
            at = schedule.next(at)?;
            (at < until).then_some(at)
        })
        .collect();
        let differs = expected.iter().zip(&found).find(|(expected, found)| expected != found);
        prop_assert!(expected == found, "{zone_name}: {schedule:?}: {differs:?}");
    }
}

proptest! {
    #[test]
    fn the_next_one_is_later(
        expression in expression(),
        zone_name in prop::sample::select(&ODD[..]),
        at in -62_000_000_000_i64..253_000_000_000,
    ) {
        let schedule = Schedule::new(expression, Arc::new(zone(zone_name)));
        let mut at = at;
        for _ in 0..20 {
            let Some(next) = schedule.next(at) else { break };
            prop_assert!(next > at);
            // Nothing is between them: whoever asks later gets the same answer.
            prop_assert_eq!(schedule.next(at + (next - at) / 2), Some(next));
            prop_assert_eq!(schedule.next(next - 1), Some(next));
            at = next;
        }
    }
}
