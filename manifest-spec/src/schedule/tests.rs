use proptest::prelude::*;

use super::calendar::{Date, length};
use super::*;

fn parse(text: &str) -> Expression {
    Expression::parse(text, Some(Days::Either)).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The first times from a date on, as `2026-01-30 07:05`.
fn shown(expression: &Expression, from: (i32, u32, u32), count: usize) -> Vec<String> {
    let (year, month, day) = from;
    let mut at = Date { year, month, day }.number() * DAY;
    let mut all = Vec::new();
    while let Some(found) = expression.next_shown(at).filter(|_| all.len() < count) {
        let date = Date::of(found.div_euclid(DAY)).unwrap();
        let minute = found.rem_euclid(DAY) / 60;
        let Date { year, month, day } = date;
        let (hour, minute) = (minute / 60, minute % 60);
        all.push(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}"));
        at = found + 1;
    }
    all
}

fn days(text: &str, rule: Days, count: usize) -> Vec<String> {
    let expression = Expression::parse(text, Some(rule)).unwrap();
    shown(&expression, (2026, 1, 1), count).iter().map(|day| day[..10].to_owned()).collect()
}

#[test]
fn what_a_calendar_says_is_understood() {
    let cases = [
        ("0 0 L * *", "2026-01-31 2026-02-28 2026-03-31"),
        ("0 0 lw * *", "2026-01-30 2026-02-27 2026-03-31"),
        // The first is a Sunday in February and March of 2026, and the 31st a Saturday in January.
        ("0 0 1W * *", "2026-01-01 2026-02-02 2026-03-02"),
        ("0 0 31W * *", "2026-01-30 2026-03-31 2026-05-29"),
        ("0 0 1,L * *", "2026-01-01 2026-01-31 2026-02-01"),
        ("0 0 * * 0L", "2026-01-25 2026-02-22 2026-03-29"),
        ("0 0 * * sun#5", "2026-03-29 2026-05-31 2026-08-30"),
        ("0 0 29 feb *", "2028-02-29 2032-02-29 2036-02-29"),
    ];
    for (text, expected) in cases {
        assert_eq!(days(text, Days::Both, 3).join(" "), expected, "{text}");
    }
}

#[test]
fn two_days_combine_as_is_said() {
    assert_eq!(days("0 0 13 * fri", Days::Both, 3), ["2026-02-13", "2026-03-13", "2026-11-13"]);
    assert_eq!(days("0 0 13 * fri", Days::Either, 3), ["2026-01-02", "2026-01-09", "2026-01-13"]);
    let unsaid = Expression::parse("0 0 13 * fri", None).unwrap_err();
    assert!(unsaid.to_string().contains("\"13\"") && unsaid.hint().unwrap().contains("either"));
    for open in ["0 0 * * fri", "0 0 13 * *", "0 0 */2 * fri", "@daily", "@boot"] {
        Expression::parse(open, None).unwrap_or_else(|error| panic!("{open}: {error}"));
    }
}

#[test]
fn what_is_wrong_is_named_with_what_to_write_instead() {
    let cases = [
        (
            "60 * * * *",
            "minute \"60\": there is no such number in this field",
            "a number from 0 to 59",
        ),
        (
            "0 0 * * MONDAY",
            "day of week \"MONDAY\": it is no name that is known",
            "three letters: MON",
        ),
        ("0 0 * * *,", "day of week \"\": a value is missing", "drop the comma"),
        ("5/15 * * * *", "minute \"5/15\": a step needs a range", "write the range: 5-59/15"),
        (
            "0 22-6 * * *",
            "hour \"22-6\": the range ends before it begins",
            "write two ranges: 22-23,0-6",
        ),
        ("*/60 * * * *", "minute \"*/60\": the step is longer than its range", ""),
        ("0-10/11 * * * *", "the longest is 10", ""),
        ("*/0 * * * *", "a step of 0 goes nowhere", "write *"),
        ("-5 * * * *", "minute \"-5\": it is no number", "a number from 0"),
        ("0 0 ? * 1", "day of month \"?\"", "write * instead"),
        ("0 0 * * 1#6", "day of week \"1#6\"", ""),
        ("0 0 0 1 1 *", "expected five fields, found 6", "there are no seconds"),
        ("@every 1h", "\"@every 1h\" stands for no schedule", "every = \"35m\""),
        ("@dayly", "\"@dayly\" stands for no schedule", "@daily"),
        ("0 0 30 2 *", "there is no such date: \"0 0 30 2 *\"", "L"),
        ("٥ * * * *", "printable ASCII", ""),
        ("", "expected five fields, found 0", ""),
    ];
    for (text, message, hint) in cases {
        let error = Expression::parse(text, Some(Days::Either)).expect_err(text);
        assert!(error.to_string().contains(message), "{text}: {error}");
        let given = error.hint().unwrap_or_default();
        assert!(given.contains(hint) || given.is_empty() && hint.is_empty(), "{text}: {given}");
    }
}

#[test]
fn what_may_surprise_is_said() {
    let cases = [
        ("*/35 * * * *", "minute \"*/35\" names 0, 35: after 35 comes 0 again"),
        ("* */4 * * *", "every minute of the hours \"*/4\"; write minute 0"),
        ("0 0 31 * *", "no day 31 in February, April, June, September, November"),
        ("0 0 29 2 *", "29 February comes in leap years only"),
    ];
    for (text, expected) in cases {
        let warnings = parse(text).warnings().to_vec();
        let [warning] = &warnings[..] else { panic!("{text}: {warnings:?}") };
        assert!(warning.to_string().contains(expected), "{text}: {warning}");
    }
    for plain in ["*/15 * * * *", "0 */4 * * *", "0 0 28-31 * *", "0 0 L * *", "0 0 31 1,3 *"] {
        assert_eq!(parse(plain).warnings(), [], "{plain}");
    }
}

proptest! {
    #[test]
    fn dates_and_numbers_belong_to_each_other(number in -4_000_000_i64..4_000_000) {
        let date = Date::of(number).unwrap();
        prop_assert_eq!(date.number(), number);
        prop_assert!((1..=length(date.year, date.month)).contains(&date.day));
        let next = Date::of(number + 1).unwrap();
        prop_assert!(next > date && (next.weekday() + 6) % 7 == date.weekday());
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,40}|[-0-9*/,LW#a-z ?@]{0,40}", at in any::<i64>()) {
        if let Ok(expression) = Expression::parse(&text, Some(Days::Either)) {
            expression.next_shown(at);
            expression.warnings().iter().for_each(|warning| drop(warning.to_string()));
        }
    }

    #[test]
    fn times_are_those_that_a_search_through_all_minutes_finds(
        fields in ("\\*|\\*/7|[0-9],3[0-9]|1-50/3", "\\*|\\*/5|[0-9]|1-20/3", "\\*|\\*/9|L|LW|15W|[1-9],2[0-8]",
            "\\*|[1-9]|\\*/5|feb", "\\*|[0-7]|mon-fri|[0-6]L|[0-6]#[1-4]"),
        days in prop_oneof![Just(Days::Either), Just(Days::Both)],
        start in 0_i64..2_000_000_000,
    ) {
        let (minute, hour, day, month, weekday) = fields;
        let text = format!("{minute} {hour} {day} {month} {weekday}");
        let Ok(expression) = Expression::parse(&text, Some(days)) else { return Ok(()) };
        let times = expression.times.as_ref().unwrap();
        let is_time = |at: i64| {
            let date = Date::of(at.div_euclid(DAY)).unwrap();
            let minute = at.rem_euclid(DAY) / 60;
            times.has_month(date.month)
                && times.days.of(date.year, date.month) & 1 << date.day != 0
                && times.hours & 1 << (minute / 60) != 0
                && times.minutes & 1 << (minute % 60) != 0
        };
        let first = start + (60 - start % 60) % 60;
        let found = expression.next_shown(start).unwrap();
        prop_assert!(found >= start && found % 60 == 0 && is_time(found), "{}", text);
        let until = found.min(first + 40 * DAY);
        prop_assert!((first..until).step_by(60).all(|at| !is_time(at)), "{}", text);
    }
}
