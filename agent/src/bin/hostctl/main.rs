//! hostctl, the command line: thin commands over the library.
//!
//! Owns the terminal, the process environment and the exit code. Invariant: standard output is the
//! program's or the answer's, everything hostctl says about itself goes to standard error; every
//! failure passes [`agent::failure`].

#![forbid(unsafe_code)]

mod board;
mod cli;
mod client;
mod commands;
#[cfg(test)]
mod golden;
mod signals;
mod target;
mod ui;
mod words;

use std::process::ExitCode;

use agent::failure::Error;

use cli::{Cli, Command};
use client::Place;
use commands::control::{Deed, control};

fn main() -> ExitCode {
    if let Some(code) = agent::run_if_meant(std::env::args) {
        return ExitCode::from(code);
    }
    let cli = Cli::read();
    let ui = ui::Ui::new();
    dispatch(cli, &ui).unwrap_or_else(|error| {
        ui.error(&error);
        ExitCode::from(error.exit_code())
    })
}

fn dispatch(cli: Cli, ui: &ui::Ui) -> Result<ExitCode, Error> {
    let host = cli.host.as_ref();
    let place = || Place::find(host);
    match cli.command {
        Command::Deploy(arguments) => commands::deploy::deploy(&arguments, &place()?, ui),
        Command::Apply(arguments) => commands::apply::apply(&arguments, &place()?, ui),
        Command::Plan(arguments) if arguments.deployed => {
            commands::difference::difference(&arguments, &place()?, ui)
        }
        Command::Ps(arguments) => commands::ps::ps(&arguments, &place()?, ui),
        Command::Top(arguments) => commands::top::top(&arguments, &place()?, ui),
        Command::Status(arguments) => commands::status::status(&arguments, &place()?, ui),
        Command::Events(arguments) => commands::events::events(&arguments, &place()?, ui),
        Command::Logs(arguments) => commands::logs::logs(&arguments, host, ui),
        Command::Lb(arguments) => commands::lb::lb(arguments, &place()?, ui),
        Command::Sinks(arguments) => commands::sinks::sinks(arguments, host, ui),
        Command::Tracebacks(arguments) => commands::tracebacks::tracebacks(&arguments, host, ui),
        Command::Exec(arguments) => commands::exec::exec(&arguments, &place()?, ui),
        Command::Shell(arguments) => commands::exec::shell(&arguments, &place()?, ui),
        Command::Start(arguments) => control(Deed::Start, &arguments, &place()?, ui),
        Command::Stop(arguments) => control(Deed::Stop, &arguments, &place()?, ui),
        Command::Restart(arguments) => control(Deed::Restart, &arguments, &place()?, ui),
        Command::Scale(arguments) => commands::control::scale(&arguments, &place()?, ui),
        Command::History(arguments) => commands::history::history(&arguments, &place()?, ui),
        Command::Rollback(arguments) => commands::rollback::rollback(&arguments, &place()?, ui),
        Command::Remove(arguments) => commands::remove::remove(&arguments, &place()?, ui),
        Command::Halt(arguments) => commands::halt::halt(&arguments, &place()?, ui),
        local => match host {
            None => here(local, ui),
            Some(machine) => Err(Error::Usage(
                "this command works on the machine it is typed on".into(),
                format!("type it there: ssh {} hostctl …", machine.as_str()),
            )),
        },
    }
}

/// Commands that ask no hostd.
fn here(command: Command, ui: &ui::Ui) -> Result<ExitCode, Error> {
    match command {
        Command::Run(arguments) => commands::run::run(*arguments, ui),
        Command::Plan(arguments) => commands::plan::plan(*arguments, ui),
        Command::Check(arguments) => commands::check::check(&arguments, ui),
        Command::Schema => commands::schema::schema(ui),
        Command::Init(arguments) => commands::init::init(&arguments, ui),
        Command::Doctor(arguments) => commands::doctor::doctor(&arguments, ui),
        Command::Lease(arguments) => commands::lease::lease(arguments, ui),
        Command::Lock(arguments) => commands::lock::lock(arguments, ui),
        Command::Hooks(arguments) => commands::hooks::hooks(&arguments, ui),
        Command::Audit(arguments) => commands::audit::audit(arguments, ui),
        Command::Names(arguments) => commands::names::names(&arguments, ui),
        Command::Policy(arguments) => commands::policy::policy(arguments, ui),
        Command::Completions { shell } => commands::completions::completions(shell, ui),
        Command::Proxy => commands::proxy::proxy(),
        asks => unreachable!("{asks:?} asks hostd"),
    }
}
