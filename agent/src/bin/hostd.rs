//! hostd, the daemon: thin over [`agent::daemon`].
//!
//! Owns its command line and its lines in the host's log. Invariant: everything else is the
//! library's.

#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use agent::failure::Error;
use agent::plan::facts;
use clap::Parser;

/// Keep the apps of this host running.
///
/// Runs in the foreground until SIGTERM. The apps that were deployed with `hostctl deploy` go on
/// when hostd ends, whatever ends it, and the next hostd takes them over. Where it keeps its files,
/// HOSTCTL_STATE_DIR, HOSTCTL_RUN_DIR and HOSTCTL_CONFIG_DIR say.
#[derive(Debug, Parser)]
#[command(name = "hostd", version, max_term_width = 100, after_help = "Example:\n  hostd")]
struct Arguments {}

fn main() -> ExitCode {
    if let Some(code) = agent::run_if_meant(std::env::args) {
        return ExitCode::from(code);
    }
    Arguments::parse();
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let told = error.told();
            say(&told.message);
            if let Some(hint) = told.hint {
                say(&format!("hint: {hint}"));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn serve() -> Result<(), Error> {
    let directories = facts::directories()?;
    agent::daemon::run(directories, &mut |text| say(text)).map_err(Error::Daemon)
}

/// A line in the host's log, which standard error is.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "hostd: {text}");
}
