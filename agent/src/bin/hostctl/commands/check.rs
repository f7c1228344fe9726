//! `hostctl check`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::load;
use crate::cli::CheckArguments;
use crate::error::Error;
use crate::ui::Ui;

pub fn check(arguments: &CheckArguments, ui: &Ui) -> Result<ExitCode, Error> {
    let text = load::file(&arguments.manifest)?;
    // Without a host there is no operator and no drop-in.
    let loaded = load::load(&text, &arguments.manifest, |_| PathBuf::new())?;
    let services = loaded.manifest.services.len();
    let plural = if services == 1 { "" } else { "s" };
    ui.answer(&format!(
        "{}: {} is valid, {services} service{plural}\n",
        text.name, loaded.manifest.name
    ))?;
    Ok(ExitCode::SUCCESS)
}
