//! `hostctl lease`.

use std::process::ExitCode;

use agent::clock::since_epoch;
use agent::lease;
use agent::lease::conflict::since;
use agent::lease::key::Key;
use agent::lease::row::{Entry, Row};
use agent::lease::table::State;
use agent::plan::facts;
use serde_json::{Value, json};

use super::plan::page;
use crate::cli::{LeaseArguments, LeaseCommand};
use crate::ui::Ui;
use agent::failure::Error;

pub fn lease(arguments: LeaseArguments, ui: &Ui) -> Result<ExitCode, Error> {
    match arguments.command {
        LeaseCommand::Ls { all, json } => list(all, json, ui),
        LeaseCommand::Show { key } => show(&key, ui),
        LeaseCommand::Release { key, force } => release(&key, force, ui),
    }
}

fn list(all: bool, json: bool, ui: &Ui) -> Result<ExitCode, Error> {
    let ledger = lease::look(&facts::directories()?, since_epoch).map_err(Error::Lease)?;
    let mut rows = ledger.map_or_else(|| Ok(Vec::new()), |ledger| ledger.rows())?;
    rows.retain(|row| all || row.is_alive());
    if json {
        let leases: Vec<_> = rows.iter().map(object).collect();
        ui.answer(&format!("{:#}\n", json!({ "v": 1, "leases": leases })))?;
    } else if !rows.is_empty() {
        let lines: Vec<_> = rows.iter().map(line).collect();
        ui.answer(&page::table(&lines, 2, page::terminal_width()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn line(row: &Row) -> [String; 4] {
    [row.key.to_string(), state(row).to_owned(), held_by(row), row.fence.to_string()]
}

/// As the ledger has it, but that a death nobody has looked into yet is told.
fn state(row: &Row) -> &'static str {
    if row.state == State::Held && !row.is_alive() { "dead" } else { row.state.name() }
}

fn held_by(row: &Row) -> String {
    let since = since(row.since, since_epoch().as_millis() as i64);
    format!("{} (pid {}, since {since})", row.holder.name(), row.holder.process.pid)
}

fn object(row: &Row) -> Value {
    json!({
        "key": row.key.to_string(),
        "state": row.state,
        "alive": row.is_alive(),
        "holder": row.holder.name(),
        "pid": row.holder.process.pid,
        "since": row.since,
        "fence": row.fence,
    })
}

fn show(key: &Key, ui: &Ui) -> Result<ExitCode, Error> {
    let ledger = lease::look(&facts::directories()?, since_epoch).map_err(Error::Lease)?;
    let Some(ledger) = ledger else {
        ui.answer(&format!("{} is free\n", key.phrase()))?;
        return Ok(ExitCode::SUCCESS);
    };
    let rows: Vec<Row> =
        ledger.rows()?.into_iter().filter(|row| row.key.room() == key.room()).collect();
    let mut text = String::new();
    for row in &rows {
        let fence = row.fence;
        let (what, who) = (row.key.phrase(), held_by(row));
        text.push_str(&format!("{what}: {}, {who}, fence {fence}\n", state(row)));
    }
    if rows.is_empty() {
        text.push_str(&format!("{} is free\n", key.phrase()));
    }
    let lines: Vec<_> = ledger.history(key)?.iter().map(past).collect();
    if !lines.is_empty() {
        text.push_str(&format!("\nbefore\n{}", page::table(&lines, 3, page::terminal_width())));
    }
    ui.answer(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn past(entry: &Entry) -> [String; 4] {
    let Entry { time, key, was, became, cause, holder, pid, .. } = entry;
    let time = since(*time, since_epoch().as_millis() as i64);
    [time, key.clone(), format!("{was} → {became}"), format!("{cause} ({holder}, pid {pid})")]
}

fn release(key: &Key, force: bool, ui: &Ui) -> Result<ExitCode, Error> {
    let directories = facts::directories()?;
    let (uid, _) = host_sys::creds::real();
    let cause = format!("taken away by uid {uid}");
    let taken = lease::open(&directories, since_epoch)?.take_away(key, &cause, force)?;
    if taken == 0 {
        let hint = "`hostctl lease ls --all` lists what is held";
        return Err(Error::Usage(format!("nobody holds {}", key.phrase()), hint.into()));
    }
    ui.say(&format!("{} is free", key.phrase()));
    Ok(ExitCode::SUCCESS)
}
