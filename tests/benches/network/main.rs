//! Measures what enforcement costs: on the data path by the requests a second of the same nginx
//! outside, inside hostctl on the host's network, and in a private one; and at the start by how long
//! a program that ends at once takes with more and more of the network.
//!
//! Owns the order of the measurement and its setting, `BENCH_SECONDS`, for one contender in one
//! round. Invariant: it has a network namespace of its own; the servers stand the whole time, the rounds take turns, and what is compared
//! comes from one run. Never fails because something is slow.

#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "a harness starts programs and reads its settings")]
#![expect(clippy::print_stdout, reason = "its result is what it prints")]

mod load;
mod servers;
mod starts;

use std::path::PathBuf;

use load::Load;
use servers::{Place, Servers};

/// What a measurement can fail with: a sentence that names the object.
type Outcome<T> = Result<T, String>;

/// Many short rounds, because what else a machine does changes by the second. Odd, so that a median
/// is one of them.
const ROUNDS: usize = 31;
const DEFAULT_SECONDS: u32 = 1;

fn main() -> Outcome<()> {
    let seconds = seconds_setting()?;
    let hostctl = hostctl_binary()?;
    leave_network()?;
    starts::measure(&hostctl)?;
    let servers = Servers::start(&hostctl)?;
    println!("### Requests a second of nginx, {ROUNDS} rounds of {seconds} s, taking turns\n");
    println!("| connections | server | requests/s | × outside | by round |");
    println!("| --- | --- | ---: | ---: | ---: |");
    for load in [Load::Kept, Load::New] {
        let found = measure(&servers, load, seconds)?;
        for (name, rates) in ["outside", "inside", "private"].into_iter().zip(&found) {
            // Each round by itself: its turns had the same neighbours.
            let mut ratios: Vec<_> =
                rates.iter().zip(&found[0]).map(|(one, outside)| one / outside).collect();
            let by_round = median(&mut ratios);
            let (rate, outside) = (median(&mut rates.clone()), median(&mut found[0].clone()));
            let ratio = rate / outside;
            let load = load.name();
            println!("| {load} | {name} | {rate:.0} | {ratio:.3} | {by_round:.3} |");
        }
    }
    println!();
    Ok(())
}

/// Go on in a network namespace of this process's own, so that the machine's stays as it is.
fn leave_network() -> Outcome<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
        .map_err(|errno| format!("make a network namespace (run this as root): {errno}"))?;
    let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status();
    match up.map(|status| status.success()) {
        Ok(true) => Ok(()),
        _ => Err("run ip(8) (package iproute2)".to_owned()),
    }
}

/// Requests a second of every place, a number a round.
fn measure(servers: &Servers, load: Load, seconds: u32) -> Outcome<[Vec<f64>; 3]> {
    let mut found = [const { Vec::new() }; 3];
    for place in Place::ALL {
        load.run(servers.port(place), 1)?; // to warm up
    }
    for round in 0..ROUNDS {
        // Whoever goes first finds the processor cooler.
        for turn in (0..3).map(|turn| (turn + round) % 3) {
            let rate = load.run(servers.port(Place::ALL[turn]), seconds)?;
            found[turn].push(rate);
        }
    }
    Ok(found)
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn seconds_setting() -> Outcome<u32> {
    match std::env::var("BENCH_SECONDS") {
        Err(_) => Ok(DEFAULT_SECONDS),
        Ok(text) => match text.parse() {
            Ok(seconds) if seconds > 0 => Ok(seconds),
            _ => Err(format!("BENCH_SECONDS: expected a number of seconds from 1, got {text:?}")),
        },
    }
}

/// `HOSTCTL_BIN`, else the binary of the target directory this benchmark was built into.
fn hostctl_binary() -> Outcome<PathBuf> {
    if let Some(path) = std::env::var_os("HOSTCTL_BIN") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().map_err(|error| format!("find the benchmark: {error}"))?;
    own.ancestors()
        .nth(2)
        .map(|profile| profile.join("hostctl"))
        .ok_or_else(|| format!("find hostctl: {} is not in a target directory", own.display()))
}
