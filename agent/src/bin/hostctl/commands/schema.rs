//! `hostctl schema`.

use std::process::ExitCode;

use crate::ui::Ui;
use agent::failure::Error;

pub fn schema(ui: &Ui) -> Result<ExitCode, Error> {
    ui.answer(&format!("{:#}\n", manifest_spec::schema()))?;
    Ok(ExitCode::SUCCESS)
}
