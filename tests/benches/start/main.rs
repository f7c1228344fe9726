//! Times the whole start and exit of a program that does nothing: plain, in the C floor, in bwrap,
//! in crun and under hostctl; and weighs what stays resident while a program runs.
//!
//! Owns the order of the measurement and its settings (`BENCH_ROUNDS`, `HOSTCTL_BIN`). Invariant:
//! every contender has a row in every table, with numbers or with the reason there are none. Never
//! fails because something is slow.

#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "a harness starts programs and reads its settings")]
#![expect(clippy::print_stdout, reason = "its result is what it prints")]

mod bundle;
mod case;
mod contender;
mod hybrid;
mod resident;
mod rounds;
mod stage;
mod table;

use std::path::PathBuf;

use case::{Base, Case, Identity, Program};
use contender::Contender;
use stage::Stage;

/// What a measurement can fail with: a sentence that names the object.
type Outcome<T> = Result<T, String>;

const DEFAULT_ROUNDS: u32 = 150;

fn main() -> Outcome<()> {
    hybrid::leave()?;
    let rounds = rounds_setting()?;
    let stage = Stage::build(&hostctl_binary()?)?;
    println!("{}", table::heading(rounds));
    for identity in [Identity::Root, Identity::Ordinary] {
        if identity == Identity::Root && !stage.privileged {
            println!("As root: not measured, the benchmark was not started as root.\n");
            continue;
        }
        measure(&stage, identity, rounds)?;
    }
    Ok(())
}

fn measure(stage: &Stage, identity: Identity, rounds: u32) -> Outcome<()> {
    let mut entries = Vec::new();
    for base in [Base::System, Base::None] {
        for contender in Contender::ALL {
            let case = Case { identity, base, program: Program::True };
            let command = contender.command(stage, case).and_then(|words| {
                rounds::try_once(stage, identity, &words)?;
                Ok(words)
            });
            entries.push((contender, base, command));
        }
    }
    let results = rounds::run(stage, identity, rounds, entries)?;
    for base in [Base::System, Base::None] {
        println!("{}", table::starts(identity, base, &results));
    }
    println!("{}", table::memory(identity, &resident::measure(stage, identity)));
    Ok(())
}

fn rounds_setting() -> Outcome<u32> {
    match std::env::var("BENCH_ROUNDS") {
        Err(_) => Ok(DEFAULT_ROUNDS),
        Ok(text) => match text.parse() {
            Ok(rounds) if rounds > 0 => Ok(rounds),
            _ => Err(format!("BENCH_ROUNDS: expected a number of rounds from 1, got {text:?}")),
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
