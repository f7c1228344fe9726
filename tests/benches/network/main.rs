//! Measures what enforcement costs on the data path: requests a second of the same nginx inside
//! hostctl, on the host's network, and outside, over kept and over new connections.
//!
//! Owns the order of the measurement and its setting, `BENCH_SECONDS`, for one contender in one
//! round. Invariant: both servers stand the whole time, the rounds take turns, and what is compared
//! comes from one run. Never fails because something is slow.

#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "a harness starts programs and reads its settings")]
#![expect(clippy::print_stdout, reason = "its result is what it prints")]

mod load;
mod servers;

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
    let servers = Servers::start(&hostctl_binary()?)?;
    println!("### Requests a second of nginx, {ROUNDS} rounds of {seconds} s, taking turns\n");
    println!("| connections | outside | inside | inside / outside | by round |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for load in [Load::Kept, Load::New] {
        let [mut outside, mut inside] = measure(&servers, load, seconds)?;
        // Each round by itself: its two turns had the same neighbours.
        let mut ratios: Vec<_> = inside.iter().zip(&outside).map(|(one, two)| one / two).collect();
        let by_round = median(&mut ratios);
        let (outside, inside) = (median(&mut outside), median(&mut inside));
        let name = load.name();
        println!(
            "| {name} | {outside:.0} | {inside:.0} | {:.3} | {by_round:.3} |",
            inside / outside
        );
    }
    println!();
    Ok(())
}

/// Requests a second of both places, a number a round.
fn measure(servers: &Servers, load: Load, seconds: u32) -> Outcome<[Vec<f64>; 2]> {
    let mut found = [Vec::new(), Vec::new()];
    for place in Place::BOTH {
        load.run(servers.port(place), 1)?; // to warm up
    }
    for round in 0..ROUNDS {
        // Whoever goes first finds the processor cooler.
        let turns = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for turn in turns {
            let rate = load.run(servers.port(Place::BOTH[turn]), seconds)?;
            found[turn].push(rate);
        }
    }
    Ok(found)
}

fn median(values: &mut [f64]) -> f64 {
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
