//! Promise: commands inside a running sandbox stand behind every wall of its app, can't disturb who
//! runs it, and are answered for, each once.
//!
//! A sandbox is started by a process with one thread only, so this test has no harness: it is
//! started again for every case and user, and what fails there is shown here.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)] // it starts and shows itself

mod commands;
mod companion;
mod desk;
mod hostile;
mod scene;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// The ordinary user that rootless cases run as.
const USER: u32 = 54_321;
/// Tells a process which case it is.
const CASE: &str = "EXECUTIONS_CASE";

type Case = (&'static str, fn());

const CASES: &[&[Case]] = &[commands::CASES, companion::CASES, hostile::CASES];

fn main() -> ExitCode {
    // Output is collected by this program under another name.
    if let Some(code) = agent::run_if_meant(std::env::args) {
        return ExitCode::from(code);
    }
    let cases = CASES.iter().flat_map(|cases| cases.iter());
    if let Ok(name) = std::env::var(CASE) {
        let (_, run) = cases.clone().find(|(case, _)| *case == name).unwrap();
        run();
        return ExitCode::SUCCESS;
    }
    assert!(scene::is_root(), "these cases are tried as root and as a user: run them as root");
    let filter: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| filter.is_empty() || filter.iter().any(|word| name.contains(word));
    let mut failed = 0;
    for (name, _) in cases.filter(|(name, _)| wanted(name)) {
        for uid in [0, USER] {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let output = command.env(CASE, name).uid(uid).gid(uid).output().unwrap();
            let good = output.status.success();
            println!("test {name} as {uid} ... {}", if good { "ok" } else { "FAILED" });
            if !good {
                failed += 1;
                println!("{}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
    ExitCode::from(u8::from(failed > 0))
}
