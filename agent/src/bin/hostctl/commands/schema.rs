//! `hostctl schema`.

use std::process::ExitCode;

use crate::error::Error;
use crate::ui::Ui;

pub fn schema(ui: &Ui) -> Result<ExitCode, Error> {
    ui.answer(&format!("{:#}\n", manifest_spec::schema()))?;
    Ok(ExitCode::SUCCESS)
}
