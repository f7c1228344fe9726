//! A plan's limits as files of a cgroup (cgroup-v2, "Controllers").
//!
//! Invariant: what is written is a list of values before anything is; every limit that a controller
//! holds is in it. Pure, but for [`write`].

use std::io;
use std::path::Path;

use super::controllers::put;
use super::{CgroupError, Controller};
use crate::plan::PlannedLimits;

/// Period of `cpu.max` in microseconds: the kernel's default. A hundredth of a core is then 1 ms,
/// the least that it takes.
const PERIOD: u64 = 100_000;

/// The most that `pids.max` takes, which is more than a host can have (PID_MAX_LIMIT).
const MOST_PROCESSES: u64 = 4_194_304;

/// One file and what is written into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The limit it belongs to.
    pub of: Controller,
    /// Its name in the cgroup's folder.
    pub file: &'static str,
    /// What is written.
    pub text: String,
    /// Whether the kernel may have no such file; of each limit one is there.
    pub optional: bool,
}

/// What holds an instance to those of its limits that these controllers are there for.
pub fn lines(limits: &PlannedLimits, controllers: &[Controller]) -> Vec<Line> {
    let mut lines = Vec::new();
    let is_there = |one| controllers.contains(&one);
    if let Some(bytes) = limits.memory.filter(|_| is_there(Controller::Memory)) {
        lines.extend(memory(bytes));
    }
    if let Some(percent) = limits.cpu.filter(|_| is_there(Controller::Cpu)) {
        let quota = u64::from(percent) * PERIOD / 100;
        lines.push(line(Controller::Cpu, "cpu.max", format!("{quota} {PERIOD}")));
    }
    if let Some(processes) = limits.processes.filter(|_| is_there(Controller::Pids)) {
        // The sandbox's own process 1 is in the cgroup too.
        let most = MOST_PROCESSES.min(u64::from(processes) + 1);
        lines.push(line(Controller::Pids, "pids.max", most.to_string()));
    }
    if let Some(weight) = limits.io.filter(|_| is_there(Controller::Io)) {
        lines.extend(io(weight));
    }
    lines
}

fn line(of: Controller, file: &'static str, text: String) -> Line {
    Line { of, file, text, optional: false }
}

fn memory(bytes: u64) -> [Line; 4] {
    let line = |file, text| line(Controller::Memory, file, text);
    [
        // A program that lost one of its processes to the kernel's choice is in a state nobody has
        // tried: a worker that never answers, a database that lost its writer. All of an instance
        // ends, and whoever keeps it running sees one end with one reason. Kubernetes does so since
        // 1.28; systemd's default, OOMPolicy=stop, comes to the same for a service.
        line("memory.oom.group", "1".to_owned()),
        // Pages in swap are the app's still. With them left out of account, a leak of 512M would
        // go on into the disk, to the harm of all who use it, before it ended.
        Line { optional: true, ..line("memory.swap.max", "0".to_owned()) },
        line("memory.high", high(bytes).to_string()),
        line("memory.max", bytes.to_string()),
    ]
}

/// Where the kernel begins to take pages back, and counts that as pressure: a 64th below the limit.
///
/// Above it the kernel delays a program by 64 f² seconds for every 256 KiB or less that it takes, if
/// f is the part by which it is above, and not at all below 10 ms (mm/memcontrol.c). At a tenth that
/// is half a second each time, and a program with a leak crawls for minutes where it should end; at
/// a 64th it is 16 ms at most, and mostly nothing.
fn high(bytes: u64) -> u64 {
    bytes - bytes / 64
}

/// Which of both files counts is the device's scheduler to say: BFQ's own, else that of io.cost.
fn io(weight: u16) -> [Line; 2] {
    let line = |file, text| Line { optional: true, ..line(Controller::Io, file, text) };
    [line("io.weight", weight.to_string()), line("io.bfq.weight", bfq(weight).to_string())]
}

/// The same weight on BFQ's scale, which has 100 in common with the other and ends at 1000.
fn bfq(weight: u16) -> u16 {
    match weight {
        0..=100 => weight,
        _ => 100 + (weight - 100) / 11,
    }
}

/// Put limits in force.
///
/// # Errors
/// [`CgroupError::Limit`], [`CgroupError::NoFile`]: nothing is to be started in the cgroup then.
pub fn write(folder: &Path, lines: &[Line]) -> Result<(), CgroupError> {
    let mut written = Vec::new();
    for line in lines {
        let path = folder.join(line.file);
        match put(&path, &line.text) {
            Ok(()) => written.push(line.of),
            Err(error) if line.optional && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CgroupError::Limit(line.of.key(), path, error)),
        }
    }
    match lines.iter().find(|line| !written.contains(&line.of)) {
        Some(line) => Err(CgroupError::NoFile(line.of.key(), folder.join(line.file))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: PlannedLimits = PlannedLimits {
        memory: Some(512 << 20),
        cpu: Some(150),
        processes: Some(64),
        io: Some(1000),
        files: 256,
        core: 0,
    };

    fn shown(lines: &[Line]) -> String {
        lines.iter().map(|line| format!("{} {}\n", line.file, line.text)).collect()
    }

    #[test]
    fn what_is_written_is_the_golden() {
        let expected = "\
memory.oom.group 1
memory.swap.max 0
memory.high 528482304
memory.max 536870912
cpu.max 150000 100000
pids.max 65
io.weight 1000
io.bfq.weight 181
";
        assert_eq!(shown(&lines(&ALL, &Controller::ALL)), expected);
    }

    #[test]
    fn only_what_is_limited_and_can_be_is_written() {
        assert_eq!(shown(&lines(&ALL, &[Controller::Pids])), "pids.max 65\n");
        assert!(lines(&ALL, &[]).is_empty());
        assert!(lines(&PlannedLimits::default(), &Controller::ALL).is_empty());
    }

    #[test]
    fn extremes_stay_in_the_kernels_ranges() {
        let limits = PlannedLimits {
            memory: Some(u64::MAX),
            cpu: Some(1),
            processes: Some(u32::MAX),
            ..ALL
        };
        let text = shown(&lines(&limits, &Controller::ALL));
        assert!(text.contains("cpu.max 1000 100000\n"), "{text}");
        assert!(text.contains("pids.max 4194304\n"), "{text}");
        assert_eq!([1, 100, 101, 10_000].map(bfq), [1, 100, 100, 1000]);
        assert!((0..64).all(|bytes| high(bytes) == bytes));
    }

    #[test]
    fn a_file_that_the_kernel_lacks_is_an_error_unless_another_stands_for_it() {
        let folder = std::env::temp_dir().join(format!("hostctl-limits-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let io = lines(&ALL, &[Controller::Io]);
        let error = write(&folder, &io).unwrap_err();
        assert!(matches!(error, CgroupError::NoFile("limits.io", _)), "{error}");
        std::fs::write(folder.join("io.bfq.weight"), "").unwrap();
        write(&folder, &io).unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("io.bfq.weight")).unwrap(), "181");
        let error = write(&folder, &lines(&ALL, &[Controller::Cpu])).unwrap_err();
        assert!(matches!(error, CgroupError::Limit("limits.cpu", ..)), "{error}");
        assert!(!folder.join("cpu.max").exists(), "no file is made");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
