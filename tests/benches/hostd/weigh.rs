//! What processes hold in memory and have used of a processor, from /proc.
//!
//! Invariant: a process that ended meanwhile counts as nothing, never as an error. Decides nothing.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Nanoseconds of a clock tick: USER_HZ is 100 on every Linux that has a name.
const TICK: u64 = 10_000_000;

/// Sums over some processes, in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weight {
    pub(crate) processes: usize,
    /// Shared pages counted in full, each time.
    pub(crate) resident: u64,
    /// Shared pages counted in proportion.
    pub(crate) proportional: u64,
    /// Pages of nobody else.
    pub(crate) private: u64,
}

/// What these processes weigh.
pub(crate) fn weigh(pids: &[u32]) -> Weight {
    let mut sum = Weight::default();
    for pid in pids {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
        let field = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        sum.processes += 1;
        sum.resident += field("Rss:");
        sum.proportional += field("Pss:");
        sum.private += field("Private_Clean:") + field("Private_Dirty:");
    }
    sum
}

/// Processor time of these processes, and of children they have waited for.
pub(crate) fn used(pids: &[u32]) -> Duration {
    let own = |pid: &u32| -> Option<u64> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
        let ran = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // cutime and cstime are fields 16 and 17; the first here is the third.
        let ticks = fields.get(13..15)?.iter().filter_map(|ticks| ticks.parse::<u64>().ok());
        let children: u64 = ticks.sum();
        Some(ran.sum::<u64>() + children * TICK)
    };
    Duration::from_nanos(pids.iter().filter_map(own).sum())
}

/// The descendants of a process by how far they are from it; itself comes first.
pub(crate) fn family(root: u32) -> Vec<Vec<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for pid in everyone() {
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut generations = vec![vec![root]];
    while let Some(last) = generations.last().filter(|last| !last.is_empty()) {
        let next = last.iter().filter_map(|pid| children.get(pid)).flatten().copied().collect();
        generations.push(next);
    }
    generations.pop();
    generations
}

/// Every process of the host.
pub(crate) fn everyone() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
