//! `hostctl init`.

use std::process::ExitCode;

use crate::cli::InitArguments;
use crate::error::Error;
use crate::ui::Ui;

pub fn init(_arguments: &InitArguments, _ui: &Ui) -> Result<ExitCode, Error> {
    Ok(ExitCode::SUCCESS)
}
