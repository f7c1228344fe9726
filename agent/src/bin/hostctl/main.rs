//! hostctl, the command line: thin commands over the library.
//!
//! Owns the terminal, the process environment and the exit code. Invariant: standard output is the
//! program's or the answer's, everything hostctl says about itself goes to standard error; every
//! failure passes [`agent::failure`].

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod ui;

use std::process::ExitCode;

use agent::failure::Error;
use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ui = ui::Ui::new();
    dispatch(cli, &ui).unwrap_or_else(|error| {
        ui.error(&error);
        ExitCode::from(error.exit_code())
    })
}

fn dispatch(cli: Cli, ui: &ui::Ui) -> Result<ExitCode, Error> {
    match cli.command {
        Command::Run(arguments) => commands::run::run(*arguments, ui),
        Command::Plan(arguments) => commands::plan::plan(*arguments, ui),
        Command::Check(arguments) => commands::check::check(&arguments, ui),
        Command::Schema => commands::schema::schema(ui),
        Command::Init(arguments) => commands::init::init(&arguments, ui),
        Command::Doctor(arguments) => commands::doctor::doctor(&arguments, ui),
        Command::Lease(arguments) => commands::lease::lease(arguments, ui),
        Command::Lock(arguments) => commands::lock::lock(arguments, ui),
        Command::Completions { shell } => commands::completions::completions(shell, ui),
    }
}
