//! `hostctl doctor`.

use std::process::ExitCode;

use crate::cli::DoctorArguments;
use crate::error::Error;
use crate::ui::Ui;

pub fn doctor(_arguments: &DoctorArguments, _ui: &Ui) -> Result<ExitCode, Error> {
    Ok(ExitCode::SUCCESS)
}
