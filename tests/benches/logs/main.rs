//! Measures the log pipeline: lines a second from a program to records on the disk, what the program
//! waits for meanwhile, and memory, beside others that collect output.
//!
//! Owns the order of the measurement and its settings (`BENCH_LOG_LINES`, `HOSTD_BIN`). Invariant: all
//! get the same lines, by a pipe or by what they take instead, and rounds take turns. It has a
//! namespace of its own of network and mounts. Never fails because something is slow.

#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "a harness starts programs and reads its settings")]
#![expect(clippy::print_stdout, reason = "its result is what it prints")]

#[path = "../hostd/daemon.rs"]
#[expect(dead_code, reason = "the daemon's own benchmark needs more of it")]
mod daemon;
mod ours;
mod rivals;
mod run;
#[path = "../hostd/stage.rs"]
mod stage;

use std::path::PathBuf;

use nix::sched::CloneFlags;

use run::{Contender, Run};
use stage::Stage;

/// What a measurement can fail with: a sentence that names the object.
type Outcome<T> = Result<T, String>;

/// How often each has its turn.
const ROUNDS: usize = 7;

fn main() -> Outcome<()> {
    let lines = lines()?;
    let hostd = hostd_binary()?;
    let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    nix::sched::unshare(flags)
        .map_err(|errno| format!("make namespaces (run this as root): {errno}"))?;
    stage::run("ip", &["link", "set", "lo", "up"], "iproute2")?;
    stage::run("mount", &["--make-rprivate", "/"], "mount")?;
    let stage = Stage::build(hostd, &["logs/writer"])?;
    println!("{}", stage::heading());
    let contenders: Vec<Contender> = rivals::all().into_iter().chain(ours::all()).collect();
    let mut runs: Vec<Vec<Outcome<Run>>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        for (contender, runs) in contenders.iter().zip(&mut runs) {
            runs.push((contender.measure)(&stage, &format!("{}-{round}", contender.place), lines));
        }
    }
    print(&contenders, runs, lines);
    Ok(())
}

fn print(contenders: &[Contender], runs: Vec<Vec<Outcome<Run>>>, lines: u64) {
    println!("### {lines} lines of 200 bytes, {ROUNDS} rounds taking turns\n");
    println!("| collected by | lines/s | × cat | × cat, by round | longest write ms | peak KiB |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let seconds = |runs: &[Outcome<Run>]| -> Vec<f64> {
        runs.iter().map(|run| run.as_ref().map_or(f64::NAN, |run| run.seconds)).collect()
    };
    let first: Vec<f64> = runs.first().map(|runs| seconds(runs)).unwrap_or_default();
    let cat = median(first.clone());
    for (contender, runs) in contenders.iter().zip(runs) {
        if let Some(Err(why)) = runs.iter().find(|run| run.is_err()) {
            println!("| {} | {why} | – | – | – | – |", contender.name);
            continue;
        }
        let times = seconds(&runs);
        let ratios = first.iter().zip(&times).map(|(cat, own)| cat / own).collect();
        let (speed, own) = (lines as f64 / median(times.clone()), median(times));
        let worst = median(runs.iter().flatten().map(|run| run.worst_ms).collect());
        let peak = runs.iter().flatten().map(|run| run.peak_kib).max().unwrap_or_default();
        println!(
            "| {} | {speed:.0} | {:.2} | {:.2} | {worst:.1} | {peak} |",
            contender.name,
            cat / own,
            median(ratios)
        );
    }
    println!();
}

/// The middle one, or the upper of the two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn lines() -> Outcome<u64> {
    match std::env::var("BENCH_LOG_LINES") {
        Err(_) => Ok(1_000_000),
        Ok(text) => match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("BENCH_LOG_LINES: expected a number from 1, got {text:?}")),
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
