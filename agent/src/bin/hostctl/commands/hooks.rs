//! `hostctl hooks`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agent::clock::since_epoch;
use agent::failure::{DATA, Error, USAGE};
use agent::logs::read::when;
use agent::zones;
use loadbalancer::schedule::{Pass, Schedule};
use manifest_spec::manifest::Days;
use manifest_spec::schedule::{Expression, ScheduleError};
use serde_json::json;

use super::plan::page;
use crate::cli::{HooksArguments, HooksCommand, NextArguments};
use crate::ui::Ui;

/// Most instants that are shown at once.
const MOST: usize = 10_000;

/// How to say what two days mean.
const DAYS: &str = "add --days either (a day that one of them names, as cron does) or --days both";

pub fn hooks(arguments: &HooksArguments, ui: &Ui) -> Result<ExitCode, Error> {
    match &arguments.command {
        HooksCommand::Next(arguments) => next(arguments, ui),
    }
}

fn next(arguments: &NextArguments, ui: &Ui) -> Result<ExitCode, Error> {
    let NextArguments { expr, zone, from, count, days, json } = arguments;
    if *count > MOST {
        let message = format!("--count is {count}");
        return Err(Error::Refused(message, format!("the most is {MOST}"), USAGE));
    }
    let expression = Expression::parse(expr, days.map(Days::from)).map_err(|error| {
        let hint = match &error {
            ScheduleError::DaysUnsaid { .. } => DAYS.to_owned(),
            error => error.hint().unwrap_or_default(),
        };
        Error::Refused(format!("--expr: {error}"), hint, DATA)
    })?;
    let zone =
        zones::zone(zone).map_err(|error| Error::Refused(error.to_string(), error.hint(), DATA))?;
    let mut at = match from {
        None => seconds(since_epoch()),
        Some(text) => instant(text)?,
    };
    let schedule = Schedule::new(expression, Arc::new(zone));
    let fires = std::iter::from_fn(|| {
        at = schedule.next(at)?;
        Some(at)
    });
    let fires: Vec<i64> = fires.take(*count).collect();
    let warnings: Vec<String> =
        schedule.expression().warnings().iter().map(ToString::to_string).collect();
    if *json {
        let fires: Vec<String> = fires.iter().map(|at| shown(*at, 'Z')).collect();
        ui.answer(&format!("{:#}\n", json!({ "fires": fires, "warnings": warnings })))?;
        return Ok(ExitCode::SUCCESS);
    }
    for warning in warnings {
        ui.say(&format!("warning: {warning}"));
    }
    if schedule.expression().is_boot() {
        ui.answer("when the host has started\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    if schedule.zone().name() != "UTC" {
        let version = zones::version().unwrap_or_else(|| "of an unknown version".to_owned());
        ui.say(&format!("clocks of {}, by tzdata {version}", schedule.zone().name()));
    }
    let lines: Vec<[String; 3]> = fires.iter().map(|at| line(&schedule, *at)).collect();
    ui.answer(&page::table(&lines, 2, page::terminal_width()))?;
    Ok(ExitCode::SUCCESS)
}

/// By the zone's clocks, in UTC, and what is special about it.
fn line(schedule: &Schedule, at: i64) -> [String; 3] {
    let zone = schedule.zone();
    let offset = zone.offset(at);
    let minutes = offset.abs() / 60;
    let sign = if offset < 0 { '-' } else { '+' };
    let local = shown(at + offset, ' ').replace('T', " ");
    let local = format!("{}{sign}{:02}:{:02}", local, minutes / 60, minutes % 60);
    let is_shown = schedule.expression().next_shown(at + offset) == Some(at + offset);
    let note = match (zone.pass(at), zone.change(at)) {
        (_, Some(_)) if !is_shown => "clocks skip its time: at once after it",
        (Pass::First, _) => "the first time that clocks show it",
        (Pass::Second, _) => "the second time that clocks show it",
        (Pass::Only, _) => "",
    };
    [local, shown(at, 'Z'), note.to_owned()]
}

/// RFC 3339 without a fraction; what stands behind it.
fn shown(at: i64, end: char) -> String {
    let time = agent::logs::stamp(Duration::from_secs(u64::try_from(at).unwrap_or_default()));
    let whole = time.split('.').next().unwrap_or_default();
    format!("{whole}{end}")
}

fn seconds(since_epoch: Duration) -> i64 {
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}

fn instant(text: &str) -> Result<i64, Error> {
    let nanos = when::recorded(text).ok_or_else(|| {
        let message = format!("--from is {text:?}");
        let hint = "an instant is a date, a time and a zone: 2026-03-28T12:00:00Z";
        Error::Refused(message, hint.to_owned(), USAGE)
    })?;
    Ok(seconds(Duration::from_nanos(nanos)))
}
