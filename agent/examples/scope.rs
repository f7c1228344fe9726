//! Runs a program in a scope of systemd's, and nothing else: what the scenarios in a booted guest
//! try the scope with.
//!
//! `scope NAME PROGRAM ARGUMENT…` says what it got and how long that took, and ends with the
//! program. `scope --delegated FOLDER` tells by its exit code whether a cgroup is left to its
//! processes.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)] // a tool of tests

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use agent::network::scope;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--delegated", folder] => Ok(scope::delegated(Path::new(folder))),
        [name, program, rest @ ..] => run(name, program, rest),
        _ => Err("give a name and a program".to_owned()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("scope: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, program: &str, arguments: &[&str]) -> Result<bool, String> {
    if !scope::is_booted() {
        return Err("systemd does not run this host".to_owned());
    }
    let start = Instant::now();
    let scope = scope::start(name, "a scope on trial").map_err(|error| error.to_string())?;
    println!("took {:.1}", start.elapsed().as_secs_f64() * 1e3);
    println!("pid {}\nunit {}", std::process::id(), scope.unit);
    let folder = scope.path.join("app");
    std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // The program moves itself, which a run of hostctl never does: it is born there. It ends with
    // this process, and does not start if that has ended before it could ask for this.
    let last = "[ $PPID = \"$0\" ] && exec \"$@\"";
    let first =
        "echo $$ > \"$0\"/cgroup.procs && echo app $$ && exec setpriv --pdeathsig KILL \"$@\"";
    let mut child = Command::new("sh")
        .args(["-c", first])
        .arg(&folder)
        .args(["sh", "-c", last, &std::process::id().to_string(), program])
        .args(arguments)
        .spawn()
        .map_err(|error| format!("sh can't be started: {error}"))?;
    // The scope must not be empty between the two.
    while !populated(&folder) {
        if child.try_wait().is_ok_and(|status| status.is_some()) {
            break;
        }
        std::thread::yield_now();
    }
    scope.release();
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok(status.success())
}

/// Whether a process is in the cgroup (cgroups(7), cgroup.events).
fn populated(folder: &Path) -> bool {
    let events = std::fs::read_to_string(folder.join("cgroup.events"));
    events.is_ok_and(|events| events.contains("populated 1"))
}
