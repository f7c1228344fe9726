//! `vm-tests [--kernel VERSION] [SCENARIO…]`: boots a guest and runs scenarios in it, all of them
//! unless some are named. Started by `make vm-test`, which builds what they need.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)] // a test's own tool

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use vm_tests::Scratch;
use vm_tests::delivery::{self, Programs};
use vm_tests::image::Image;
use vm_tests::machine::Machine;
use vm_tests::report::{Ended, Line, Report};

/// How long a guest may take for everything.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// Debian 12's own kernel.
const KERNEL: &str = "6.1";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("vm-tests: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every scenario passed.
fn run(mut arguments: Vec<String>) -> Result<bool, String> {
    let mut kernel = KERNEL.to_owned();
    if arguments.first().is_some_and(|first| first == "--kernel") && arguments.len() > 1 {
        kernel = arguments.drain(..2).nth(1).unwrap_or_default();
    }
    let known = delivery::scenarios()?;
    if let Some(unknown) = arguments.iter().find(|name| !known.contains(name)) {
        return Err(format!("no scenario {unknown:?}, but {}", known.join(", ")));
    }
    let wanted = if arguments.is_empty() { known } else { arguments };
    let programs = Programs::from_environment()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let cache = PathBuf::from(target).join("vm-tests");
    let scratch = Scratch::new(&cache)?;
    let image = Image::get(&cache, &scratch)?;
    let kernel = image.kernel(&kernel)?;
    let disk = delivery::make(&programs, &wanted, &scratch)?;
    println!("vm-tests: booting the guest for {}", wanted.join(", "));
    let mut machine = Machine::boot(&kernel, &image.disk(), &disk)?;
    Ok(watch(&mut machine, &wanted))
}

/// Tell what the guest tells, until its end or that of its time.
fn watch(machine: &mut Machine, wanted: &[String]) -> bool {
    let (start, mut began) = (Instant::now(), Instant::now());
    let mut report = Report::default();
    let trouble = loop {
        let line = match machine.next(start + LIMIT) {
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
    if !report.is_over() {
        let trouble = trouble.unwrap_or_else(|| "the guest ended too early".to_owned());
        println!("vm-tests: {trouble}; the last lines of its console:");
        machine.console().for_each(|line| println!("    {line}"));
    }
    let missing = report.missing(wanted);
    let seconds = start.elapsed().as_secs();
    match missing.as_slice() {
        [] => println!("vm-tests: {} passed in {seconds} s", wanted.len()),
        missing => println!("vm-tests: FAILED in {seconds} s: {}", missing.join(", ")),
    }
    missing.is_empty() && report.is_over()
}

fn show(ended: &Ended, took: Duration) {
    let verdict = if ended.code == 0 { "ok    " } else { "FAILED" };
    println!("  {verdict} {} ({} s)", ended.name, took.as_secs());
    if ended.code != 0 {
        ended.output.iter().for_each(|line| println!("    {line}"));
    }
}
