//! `vm-tests [--kernel VERSION] [--limit SECONDS] [SCENARIO…]`: boots a guest and runs scenarios in
//! it, all of them unless some are named. Started by `make vm-test`, which builds what they need.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)] // a test's tool

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use vm_tests::delivery::{self, Programs};
use vm_tests::image::Image;
use vm_tests::machine::Machine;
use vm_tests::report::{Ended, Line, Report};
use vm_tests::scratch::Scratch;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// The beginning of a kernel's version; Debian 12's own is 6.1.
    kernel: String,
    /// How long the guest may take for everything.
    limit: Duration,
    /// Names; all if there are none.
    scenarios: Vec<String>,
}

impl Wanted {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
        let mut wanted = Wanted {
            kernel: "6.1".to_owned(),
            limit: Duration::from_secs(40 * 60),
            scenarios: Vec::new(),
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--kernel" => wanted.kernel = value()?,
                "--limit" => {
                    let seconds = value()?;
                    let seconds = seconds.parse().map_err(|_| format!("{seconds:?}: no seconds"));
                    wanted.limit = Duration::from_secs(seconds?);
                }
                _ => wanted.scenarios.push(argument),
            }
        }
        Ok(wanted)
    }
}

fn main() -> ExitCode {
    match Wanted::parse(std::env::args().skip(1)).and_then(run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("vm-tests: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every scenario passed.
fn run(mut wanted: Wanted) -> Result<bool, String> {
    let known = delivery::scenarios()?;
    if let Some(unknown) = wanted.scenarios.iter().find(|name| !known.contains(name)) {
        return Err(format!("no scenario {unknown:?}, but {}", known.join(", ")));
    }
    if wanted.scenarios.is_empty() {
        wanted.scenarios = known;
    }
    let programs = Programs::from_environment()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let cache = PathBuf::from(target).join("vm-tests");
    let scratch = Scratch::new(&cache)?;
    let image = match Image::find(&cache) {
        Some(image) => image,
        None => {
            println!("vm-tests: making the guest, a minute or two");
            Image::make(&cache, &scratch)?
        }
    };
    let kernel = image.kernel(&wanted.kernel)?;
    let disk = delivery::make(&programs, &wanted.scenarios, &scratch)?;
    println!("vm-tests: booting the guest for {}", wanted.scenarios.join(", "));
    let mut machine = Machine::boot(&kernel, &image.disk(), &disk)?;
    Ok(watch(&mut machine, &wanted))
}

/// Tell what the guest tells, until its end or that of its time.
fn watch(machine: &mut Machine, wanted: &Wanted) -> bool {
    let (start, mut began) = (Instant::now(), Instant::now());
    let mut report = Report::default();
    let trouble = loop {
        let line = match machine.next(start + wanted.limit) {
            Ok(Some(line)) => line,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        match &line {
            Line::Boot(text) => println!("  up: {text}; {} s", start.elapsed().as_secs()),
            Line::Begin(_) => began = Instant::now(),
            Line::Note(text) => println!("  note: {text}"),
            _ => {}
        }
        if let Some(ended) = report.hear(line) {
            show(&ended, began.elapsed());
        }
    };
    if let Some(ended) = report.unfinished() {
        show(ended, began.elapsed());
    }
    let missing = report.missing(&wanted.scenarios);
    let passed = missing.is_empty() && report.is_over();
    if !passed {
        println!("vm-tests: the last lines of the guest's console:");
        machine.console().for_each(|line| println!("    {line}"));
    }
    if !report.is_over() {
        println!("vm-tests: {}", trouble.unwrap_or_else(|| "the guest ended too early".to_owned()));
    }
    let seconds = start.elapsed().as_secs();
    match missing.as_slice() {
        [] => println!("vm-tests: {} passed in {seconds} s", wanted.scenarios.len()),
        missing => println!("vm-tests: FAILED in {seconds} s: {}", missing.join(", ")),
    }
    passed
}

fn show(ended: &Ended, took: Duration) {
    let verdict = if ended.code == 0 { "ok    " } else { "FAILED" };
    println!("  {verdict} {} ({} s)", ended.name, took.as_secs());
    if ended.code != 0 {
        ended.output.iter().for_each(|line| println!("    {line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Wanted, String> {
        Wanted::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_and_names_come_in_any_order() {
        let wanted = parse("reboot --kernel 6.12 --limit 90 scope").unwrap();
        assert_eq!(wanted.kernel, "6.12");
        assert_eq!(wanted.limit, Duration::from_secs(90));
        assert_eq!(wanted.scenarios, ["reboot", "scope"]);
        assert_eq!(parse("").unwrap().kernel, "6.1");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(parse("--kernel").unwrap_err(), "--kernel needs a value");
        assert_eq!(parse("--limit soon").unwrap_err(), "\"soon\": no seconds");
    }
}
