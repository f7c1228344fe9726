//! `hostctl check`.

use std::path::PathBuf;
use std::process::ExitCode;

use agent::source::SourceError;
use manifest_spec::{Diagnostics, Origin};
use serde_json::{Value, json};

use super::load;
use crate::cli::CheckArguments;
use crate::ui::Ui;
use agent::failure::Error;

pub fn check(arguments: &CheckArguments, ui: &Ui) -> Result<ExitCode, Error> {
    let text = load::file(&arguments.manifest)?;
    // Without a host there is no operator and no drop-in.
    let loaded = match load::load(&text, &arguments.manifest, |_| PathBuf::new()) {
        Err(error) if arguments.json => return report(error, &text.name, ui),
        loaded => loaded?,
    };
    if arguments.json {
        ui.answer(&format!("{:#}\n", json!({ "v": 1, "valid": true, "errors": [], "count": 0 })))?;
        return Ok(ExitCode::SUCCESS);
    }
    let services = loaded.manifest.services.len();
    let plural = if services == 1 { "" } else { "s" };
    let name = &loaded.manifest.name;
    ui.answer(&format!("{}: {name} is valid, {services} service{plural}\n", text.name))?;
    Ok(ExitCode::SUCCESS)
}

/// What is wrong, for a program; the exit code is the one people get.
fn report(error: Error, file: &str, ui: &Ui) -> Result<ExitCode, Error> {
    let Error::Source(SourceError::Invalid(diagnostics)) = &error else { return Err(error) };
    let report = json!({
        "v": 1,
        "valid": false,
        "errors": errors(diagnostics, file),
        "count": diagnostics.count(),
    });
    ui.answer(&format!("{report:#}\n"))?;
    Ok(ExitCode::from(error.exit_code()))
}

/// One object each. The file is the manifest where nothing else is to blame; line and column are
/// null where a variable or a flag is, which `origin` names.
fn errors(diagnostics: &Diagnostics, manifest: &str) -> Vec<Value> {
    let places = diagnostics.iter().map(|error| (error, error.origin.as_ref().map(place)));
    let objects = places.map(|(error, place)| {
        let (file, line, column) = place.unwrap_or((Some(manifest), None, None));
        json!({
            "file": file,
            "line": line,
            "column": column,
            "key": error.key,
            "message": error.message,
            "hint": error.hint,
            "origin": error.origin.as_ref().map(ToString::to_string),
        })
    });
    objects.collect()
}

fn place(origin: &Origin) -> (Option<&str>, Option<u32>, Option<u32>) {
    match origin {
        Origin::File { file, line, column }
        | Origin::Profile { file, line, column, .. }
        | Origin::DropIn { file, line, column } => (Some(file), Some(*line), Some(*column)),
        Origin::Variable { .. } | Origin::Flag { .. } | Origin::Default => (None, None, None),
    }
}
