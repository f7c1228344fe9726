//! `hostctl completions`.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::Cli;
use crate::ui::Ui;
use agent::failure::Error;

pub fn completions(shell: clap_complete::Shell, ui: &Ui) -> Result<ExitCode, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hostctl", &mut script);
    ui.answer(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
