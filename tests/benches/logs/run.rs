//! One run of the writer: what it said of itself, and when its last line was on file.
//!
//! Invariant: the time is from the writer's first line to the moment its last one is found in what the
//! contender keeps, read from outside. Never knows who collects.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::Outcome;
use crate::stage::Stage;

/// The longest a run may take.
const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(2);
/// How much of a file's end is looked at: more than one record.
const END: u64 = 8 * 1024;

/// Who collects.
pub(crate) struct Contender {
    /// As the table names it.
    pub(crate) name: &'static str,
    /// A folder's name.
    pub(crate) place: &'static str,
    /// One run: the stage, a folder of its own, so many lines.
    pub(crate) measure: fn(&Stage, &str, u64) -> Outcome<Run>,
}

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    /// The longest write(2) of the writer.
    pub(crate) worst_ms: f64,
    /// The most that the collector's processes had resident, added up.
    pub(crate) peak_kib: u64,
}

/// Wait for the last line in the newest file of a folder, then for what the writer says of itself and
/// what the kernel says of those who collect.
pub(crate) fn finish(
    folder: &Path,
    result: &Path,
    lines: u64,
    collectors: impl Fn() -> Vec<u32>,
) -> Outcome<Run> {
    let mark = format!("line {lines:010} of");
    let end = Instant::now() + PATIENCE;
    while !newest(folder).is_some_and(|file| ends_with(&file, mark.as_bytes())) {
        if Instant::now() > end {
            return Err(format!("the last line never came to {}", folder.display()));
        }
        std::thread::sleep(PAUSE);
    }
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|errno| errno.to_string())?;
    let now = now.tv_sec() as f64 * 1e9 + now.tv_nsec() as f64;
    let said = loop {
        match std::fs::read_to_string(result) {
            Ok(said) if said.ends_with('\n') => break said,
            _ if Instant::now() > end => return Err("the writer said nothing".to_owned()),
            _ => std::thread::sleep(PAUSE),
        }
    };
    let words: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [began, _, worst, _] = words[..] else { return Err(format!("the writer said {said:?}")) };
    let peak = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    Ok(Run {
        seconds: (now - began) / 1e9,
        worst_ms: worst / 1e6,
        peak_kib: collectors().into_iter().map(peak).sum(),
    })
}

/// The file of a folder that was changed last, in whatever depth.
fn newest(folder: &Path) -> Option<PathBuf> {
    let mut found: Option<(std::time::SystemTime, PathBuf)> = None;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let Ok(about) = entry.metadata() else { continue };
            match about.modified() {
                _ if about.is_dir() => folders.push(entry.path()),
                Ok(time) if found.as_ref().is_none_or(|(newest, _)| *newest <= time) => {
                    found = Some((time, entry.path()));
                }
                _ => {}
            }
        }
    }
    found.map(|(_, path)| path)
}

fn ends_with(file: &Path, mark: &[u8]) -> bool {
    let look = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(file)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(end)
    };
    look().is_ok_and(|end| end.windows(mark.len()).any(|bytes| bytes == mark))
}
