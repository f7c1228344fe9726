//! What stays in memory beside the app: every process a contender keeps while its program runs.
//!
//! Owns the reading of /proc. Invariant: the numbers are taken while the program is known to run,
//! because it has just answered. Never counts the program itself.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::case::{Base, Case, Identity, Program};
use crate::contender::Contender;
use crate::stage::Stage;

const PATIENCE: Duration = Duration::from_secs(10);

/// The line the program is to send back.
const MARK: &str = "hostctl-bench";

/// One process, in KiB.
pub(crate) struct Process {
    pub(crate) name: String,
    /// Resident now (`VmRSS`), shared pages counted in full.
    pub(crate) resident: u64,
    /// The most that was ever resident (`VmHWM`).
    pub(crate) peak: u64,
    /// Resident, shared pages counted in proportion (`Pss`).
    pub(crate) proportional: u64,
}

/// The processes each contender keeps, or why that is not known.
pub(crate) fn measure(
    stage: &Stage,
    identity: Identity,
) -> Vec<(Contender, Outcome<Vec<Process>>)> {
    Contender::ALL
        .into_iter()
        .filter(|&contender| contender != Contender::Plain)
        .map(|contender| (contender, weigh(stage, identity, contender)))
        .collect()
}

fn weigh(stage: &Stage, identity: Identity, contender: Contender) -> Outcome<Vec<Process>> {
    let case = Case { identity, base: Base::System, program: Program::Cat };
    let words = contender.command(stage, case)?;
    let mut child = stage
        .as_identity(identity, &words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("start {}: {error}", words[0]))?;
    let processes = answer(&mut child).and_then(|()| family(child.id()));
    // The end of its input ends the program, and with it the contender.
    drop(child.stdin.take());
    if processes.is_err() {
        child.kill().map_err(|error| format!("kill: {error}"))?;
    }
    child.wait().map_err(|error| format!("wait: {error}"))?;
    processes
}

/// Returns once the program in the sandbox has sent the mark back.
fn answer(child: &mut Child) -> Outcome<()> {
    let (Some(stdin), Some(stdout)) = (child.stdin.as_mut(), child.stdout.take()) else {
        return Err("reach the program: its input and output are not pipes".to_owned());
    };
    writeln!(stdin, "{MARK}").map_err(|error| format!("write to the program: {error}"))?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        if BufReader::new(stdout).lines().map_while(Result::ok).any(|line| line == MARK) {
            // The receiver may have given up; then nobody wants to know.
            let _ = sender.send(());
        }
    });
    receiver
        .recv_timeout(PATIENCE)
        .map_err(|_| "does not work here: the program did not answer".to_owned())
}

/// The process and its descendants, without the program.
fn family(root: u32) -> Outcome<Vec<Process>> {
    let mut pids = vec![root];
    let mut processes = Vec::new();
    let all = everyone()?;
    while let Some(pid) = pids.pop() {
        pids.extend(all.iter().filter(|&&(_, parent)| parent == pid).map(|&(child, _)| child));
        let process = process(pid)?;
        if process.name != Program::Cat.name() {
            processes.push(process);
        }
    }
    Ok(processes)
}

/// Every process of the host with its parent.
fn everyone() -> Outcome<Vec<(u32, u32)>> {
    let entries = fs::read_dir("/proc").map_err(|error| format!("read /proc: {error}"))?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // A process may end while the list is made; it is none of ours then.
    Ok(pids.filter_map(|pid| Some((pid, parent(pid)?))).collect())
}

fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    u32::try_from(field(&status, "PPid:")?).ok()
}

fn process(pid: u32) -> Outcome<Process> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        fs::read_to_string(&path).map_err(|error| format!("read {path}: {error}"))
    };
    let status = read("status")?;
    let rollup = read("smaps_rollup")?;
    let number = |text: &str, key| field(text, key).ok_or_else(|| format!("find {key} of {pid}"));
    Ok(Process {
        name: read("comm")?.trim_end().to_owned(),
        resident: number(&status, "VmRSS:")?,
        peak: number(&status, "VmHWM:")?,
        proportional: number(&rollup, "Pss:")?,
    })
}

fn field(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}
