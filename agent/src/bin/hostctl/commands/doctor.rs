//! `hostctl doctor`.

mod probe;

use std::process::ExitCode;

use agent::plan::HostFacts;
use agent::plan::survey::{self, Finding, Status};
use serde_json::json;

use super::plan::page;
use crate::cli::DoctorArguments;
use crate::ui::Ui;
use agent::failure::Error;

pub fn doctor(arguments: &DoctorArguments, ui: &Ui) -> Result<ExitCode, Error> {
    let findings = survey::survey(&probe::probe(HostFacts::probe()?));
    let verdict = survey::verdict(&findings);
    let works = !findings.iter().any(Finding::is_fatal);
    if arguments.json {
        let report = json!({ "v": 1, "works": works, "verdict": verdict, "findings": findings });
        ui.answer(&format!("{report:#}\n"))?;
    } else {
        let rows: Vec<_> = findings.iter().flat_map(lines).collect();
        let table = page::table(&rows, 2, page::terminal_width());
        ui.answer(&format!("{table}\n{verdict}\n"))?;
    }
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A finding, and below it what its absence costs and what to do.
fn lines(finding: &Finding) -> Vec<[String; 3]> {
    let status = match finding.status {
        Status::Ok => "ok",
        Status::Missing => "missing",
        Status::Note => "note",
    };
    let below = |label: &str, text: &Option<String>| {
        text.as_ref().map(|text| [String::new(), String::new(), format!("{label}: {text}")])
    };
    let mut lines = vec![[status.to_owned(), finding.name.to_owned(), finding.what.clone()]];
    lines.extend(below("costs", &finding.cost));
    lines.extend(below("to do", &finding.remedy));
    lines
}
