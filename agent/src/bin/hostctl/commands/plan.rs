//! `hostctl plan`.

use std::process::ExitCode;

use crate::cli::PlanArguments;
use crate::error::Error;
use crate::ui::Ui;

pub fn plan(_arguments: PlanArguments, _ui: &Ui) -> Result<ExitCode, Error> {
    Ok(ExitCode::SUCCESS)
}
