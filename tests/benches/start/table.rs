//! The tables, in Markdown, so that a run can be pasted into docs/benchmarks.md.
//!
//! Owns the statistics and their layout. Invariant: a row that has no numbers carries the reason.
//! Never measures.

use std::fs;

use crate::Outcome;
use crate::case::{Base, Identity};
use crate::contender::{self, Contender};
use crate::resident::Process;
use crate::rounds;

/// What was measured on.
pub(crate) fn heading(rounds: u32) -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut against = contender::versions();
    against.insert(0, format!("{rounds} rounds"));
    format!("Kernel {}, {cores} × {model}; {}.\n", kernel.trim(), against.join(", "))
}

/// The start times of one base, a row a contender.
pub(crate) fn starts(identity: Identity, base: Base, results: &[rounds::Timed]) -> String {
    let rows: Vec<_> = results.iter().filter(|result| result.base == base).collect();
    let median = |wanted| {
        let row = rows.iter().find(|row| row.contender == wanted)?;
        Some(Summary::of(row.runs.as_ref().ok()?)?.median)
    };
    let (plain, floor) = (median(Contender::Plain), median(Contender::Floor));
    let mut lines = vec![
        format!("### Start and exit, {}, base {}\n", identity.name(), base.name()),
        "| contender | median ms | q25 | p95 | × plain | × floor | cpu ms | peak KiB |".to_owned(),
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |".to_owned(),
    ];
    for row in rows {
        let name = row.contender.name();
        lines.push(match row.runs.as_ref().map(|runs| Summary::of(runs)) {
            Ok(Some(summary)) => summary.row(name, plain, floor),
            Ok(None) => format!("| {name} | failed while it was timed | | | | | | |"),
            Err(reason) => format!("| {name} | {reason} | | | | | | |"),
        });
    }
    lines.join("\n") + "\n"
}

/// What each contender keeps resident, a row a process.
pub(crate) fn memory(identity: Identity, weighed: &[(Contender, Outcome<Vec<Process>>)]) -> String {
    let mut lines = vec![
        format!("### Resident beside the app, {}, base system\n", identity.name()),
        "| contender | process | resident KiB | peak KiB | proportional KiB |".to_owned(),
        "| --- | --- | ---: | ---: | ---: |".to_owned(),
    ];
    for (contender, processes) in weighed {
        let name = contender.name();
        match processes {
            Err(reason) => lines.push(format!("| {name} | {reason} | | | |")),
            Ok(processes) => lines.extend(processes.iter().map(|process| {
                let Process { name: process, resident, peak, proportional } = process;
                format!("| {name} | {process} | {resident} | {peak} | {proportional} |")
            })),
        }
    }
    lines.join("\n") + "\n"
}

/// The statistics of one contender, in milliseconds and KiB.
struct Summary {
    median: f64,
    q25: f64,
    p95: f64,
    cpu: f64,
    peak_kib: u64,
}

impl Summary {
    /// `None` when a run failed: its time is not the time of a start.
    fn of(runs: &[rounds::Run]) -> Option<Summary> {
        if runs.is_empty() || runs.iter().any(|run| !run.worked) {
            return None;
        }
        let wall = sorted(runs, |run| run.wall_ns);
        Some(Summary {
            median: quantile(&wall, 50) / 1e6,
            q25: quantile(&wall, 25) / 1e6,
            p95: quantile(&wall, 95) / 1e6,
            cpu: quantile(&sorted(runs, |run| run.cpu_us), 50) / 1e3,
            peak_kib: runs.iter().map(|run| run.peak_kib).max()?,
        })
    }

    fn row(&self, name: &str, plain: Option<f64>, floor: Option<f64>) -> String {
        let Summary { median, q25, p95, cpu, peak_kib } = self;
        let ratio =
            |to: Option<f64>| to.map_or("–".to_owned(), |to| format!("{:.2}", median / to));
        let (plain, floor) = (ratio(plain), ratio(floor));
        format!(
            "| {name} | {median:.2} | {q25:.2} | {p95:.2} | {plain} | {floor} | {cpu:.2} | {peak_kib} |"
        )
    }
}

fn sorted(runs: &[rounds::Run], key: impl Fn(&rounds::Run) -> u64) -> Vec<u64> {
    let mut values: Vec<u64> = runs.iter().map(key).collect();
    values.sort_unstable();
    values
}

fn quantile(sorted: &[u64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100] as f64
}
