//! Interleaved rounds: hands the contenders to timer.c and reads back one record a run.
//!
//! Owns the exchange with the timer. Invariant: a contender is timed only if it worked once before.
//! Never interprets a number.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::case::{Base, Identity};
use crate::contender::Contender;
use crate::stage::Stage;

/// Rounds before the timed ones: page cache, branch predictors, first-use allocations of the kernel.
const WARM_UP: u32 = 5;

/// A start takes milliseconds; one that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// One timed run, in the units of timer.c.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) wall_ns: u64,
    pub(crate) cpu_us: u64,
    pub(crate) peak_kib: u64,
    pub(crate) worked: bool,
}

/// What is known of one contender in one base.
pub(crate) struct Timed {
    pub(crate) contender: Contender,
    pub(crate) base: Base,
    /// The runs in their order, or why there are none.
    pub(crate) runs: Outcome<Vec<Run>>,
}

/// Starts a contender once and waits for its end; says what it said if it fails.
pub(crate) fn try_once(stage: &Stage, identity: Identity, words: &[String]) -> Outcome<()> {
    let mut child = stage
        .as_identity(identity, &words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("start {}: {error}", words[0]))?;
    wait(&mut child)?;
    let output = child.wait_with_output().map_err(|error| format!("wait: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().last().unwrap_or("no message");
    Err(format!("does not work here: {} ({line})", output.status))
}

fn wait(child: &mut Child) -> Outcome<()> {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().map_err(|error| format!("wait: {error}"))?.is_none() {
        if Instant::now() > deadline {
            child.kill().map_err(|error| format!("kill: {error}"))?;
            return Err(format!("does not work here: no end within {} s", PATIENCE.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Times every entry that has a command, `rounds` times, all of them in each round.
pub(crate) fn run(
    stage: &Stage,
    identity: Identity,
    rounds: u32,
    entries: Vec<(Contender, Base, Outcome<Vec<String>>)>,
) -> Outcome<Vec<Timed>> {
    let mut commands = String::new();
    let mut results = Vec::new();
    for (contender, base, command) in entries {
        let runs = command.map(|words| {
            commands.push_str(&words.join("\t"));
            commands.push('\n');
            Vec::new()
        });
        results.push(Timed { contender, base, runs });
    }
    let list = stage.home(identity).join("commands");
    fs::write(&list, commands).map_err(|error| format!("write {}: {error}", list.display()))?;

    let output = stage
        .as_identity(identity, &stage.timer.to_string_lossy())
        .args([WARM_UP.to_string(), rounds.to_string()])
        .arg(&list)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("start the timer: {error}"))?;
    if !output.status.success() {
        return Err(format!("time the starts: {}", output.status));
    }
    let mut timed: Vec<_> = results.iter_mut().filter_map(|r| r.runs.as_mut().ok()).collect();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (index, run) = record(line).ok_or_else(|| format!("read the timer's {line:?}"))?;
        timed.get_mut(index).ok_or_else(|| format!("read the timer's {line:?}"))?.push(run);
    }
    Ok(results)
}

fn record(line: &str) -> Option<(usize, Run)> {
    let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [index, wall_ns, cpu_us, peak_kib, status] = numbers[..] else { return None };
    Some((usize::try_from(index).ok()?, Run { wall_ns, cpu_us, peak_kib, worked: status == 0 }))
}
