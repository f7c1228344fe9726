//! `hostctl audit`.

use std::process::ExitCode;
use std::time::Duration;

use agent::audit::verify::Noted;
use agent::audit::{AuditError, Log, Verified};
use agent::failure::Error;
use agent::logs::stamp;
use agent::plan::facts;
use manifest_spec::api::{AuditEntry, AuditOutcome};
use serde_json::json;

use super::plan::page;
use crate::cli::{AuditArguments, AuditCommand};
use crate::ui::Ui;

pub fn audit(arguments: AuditArguments, ui: &Ui) -> Result<ExitCode, Error> {
    let log = Log::new(&facts::directories()?);
    match arguments.command {
        None => list(&log, arguments.number, arguments.json, ui),
        Some(AuditCommand::Verify { noted, json }) => verify(&log, noted, json, ui),
    }
}

fn list(log: &Log, count: usize, json: bool, ui: &Ui) -> Result<ExitCode, Error> {
    let entries = log.newest(count).map_err(Error::Audit)?;
    if json {
        ui.answer(&format!("{:#}\n", json!({ "v": 1, "entries": entries })))?;
    } else if !entries.is_empty() {
        let rows: Vec<_> = entries.iter().map(row).collect();
        ui.answer(&page::table(&rows, 5, page::terminal_width()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(entry: &AuditEntry) -> [String; 6] {
    let who = match &entry.user {
        Some(user) => format!("{user} ({})", entry.uid),
        None => format!("uid {}", entry.uid),
    };
    let what = format!("{} {}", entry.action, entry.target);
    let outcome = match entry.outcome {
        AuditOutcome::Done => "done",
        AuditOutcome::Refused => "refused",
        AuditOutcome::Failed => "failed",
    };
    let parameters = match &entry.parameters {
        serde_json::Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let details = match &entry.reason {
        Some(reason) => format!("{parameters}: {reason}"),
        None => parameters,
    };
    [entry.n.to_string(), time(entry), who, what.trim_end().into(), outcome.into(), details]
}

/// To the millisecond, which is what was recorded.
fn time(entry: &AuditEntry) -> String {
    let micros = stamp(Duration::from_millis(entry.at_ms));
    micros.strip_suffix("000Z").map_or(micros.clone(), |millis| format!("{millis}Z"))
}

fn verify(log: &Log, noted: Option<Noted>, json: bool, ui: &Ui) -> Result<ExitCode, Error> {
    match log.verify(noted) {
        Ok(verified) if json => ui.answer(&format!("{:#}\n", object(&verified)))?,
        Ok(verified) => ui.answer(&told(&verified))?,
        Err(AuditError::Broken(broken)) if json => {
            let why = broken.why.to_string();
            let broken = json!({ "line": broken.line, "why": why });
            ui.answer(&format!("{:#}\n", json!({ "v": 1, "broken": broken })))?;
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(Error::Audit(error)),
    }
    Ok(ExitCode::SUCCESS)
}

fn object(verified: &Verified) -> serde_json::Value {
    json!({
        "v": 1,
        "entries": verified.entries,
        "first": verified.first,
        "last": verified.last,
        "beyond": verified.beyond,
        "unfinished": verified.unfinished,
    })
}

fn told(verified: &Verified) -> String {
    let (Some(first), Some(last)) = (&verified.first, &verified.last) else {
        return "the audit log has no entries\n".to_owned();
    };
    let mut text = format!(
        "{} entries, {} to {}, each follows the one before it\nthe last is {}:{}\n",
        verified.entries,
        time(first),
        time(last),
        last.n,
        last.hash
    );
    if verified.unfinished > 0 {
        let bytes = verified.unfinished;
        text.push_str(&format!("{bytes} bytes of an entry follow that was never finished\n"));
    }
    text
}
