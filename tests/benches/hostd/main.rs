//! Measures the daemon: what it weighs with 100 idle apps beside others of its kind, what it adds to
//! the start of an app, how long 100 instances take, and what rolling updates cost a server.
//!
//! Owns the order of the measurement and its settings (`BENCH_IDLE_SECONDS`, `HOSTD_BIN`).
//! Invariant: it has a network namespace of its own, and of mounts for what a host has in memory; what
//! it started has ended with it. Never fails because something is slow.

#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "a harness starts programs and reads its settings")]
#![expect(clippy::print_stdout, reason = "its result is what it prints")]

mod crowd;
mod daemon;
mod idle;
mod ready;
mod rivals;
mod rollouts;
mod stage;
mod weigh;

use std::path::PathBuf;
use std::time::Duration;

use nix::sched::CloneFlags;

use stage::Stage;

/// What a measurement can fail with: a sentence that names the object.
type Outcome<T> = Result<T, String>;

/// Apps that do nothing, and instances that start at once.
const CROWD: usize = 100;

fn main() -> Outcome<()> {
    let seconds = number("BENCH_IDLE_SECONDS", 30)?;
    let hostd = hostd_binary()?;
    leave_host()?;
    let stage = Stage::build(hostd, &["hostd/sleeper", "hostd/server"])?;
    println!("{}", stage::heading());
    idle::measure(&stage, Duration::from_secs(seconds))?;
    ready::measure(&stage)?;
    crowd::measure(&stage)?;
    rollouts::measure(&stage)
}

/// Go on in namespaces of this process's own, so that the machine's network and mounts stay as they
/// are.
fn leave_host() -> Outcome<()> {
    let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    nix::sched::unshare(flags)
        .map_err(|errno| format!("make namespaces (run this as root): {errno}"))?;
    stage::run("ip", &["link", "set", "lo", "up"], "iproute2")?;
    stage::run("mount", &["--make-rprivate", "/"], "mount")
}

/// The middle one, or the upper of the two.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn number(name: &str, default: u64) -> Outcome<u64> {
    match std::env::var(name) {
        Err(_) => Ok(default),
        Ok(text) => match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("{name}: expected a number from 1, got {text:?}")),
        },
    }
}

/// `HOSTD_BIN`, else the binary of the target directory this benchmark was built into.
fn hostd_binary() -> Outcome<PathBuf> {
    if let Some(path) = std::env::var_os("HOSTD_BIN") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().map_err(|error| format!("find the benchmark: {error}"))?;
    own.ancestors()
        .nth(2)
        .map(|profile| profile.join("hostd"))
        .ok_or_else(|| format!("find hostd: {} is not in a target directory", own.display()))
}
