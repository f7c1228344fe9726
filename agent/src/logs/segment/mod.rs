//! An instance's log on disk: files of sealed lines, one after the other.
//!
//! Owns the files `STATE/logs/APP/SERVICE.N/SEQ.log`; a file's name is the number of the first record
//! that was to be written to it, its first line the header that its records belong to. Invariant: one
//! process writes (it holds the folder's `lock`), always to the last file, always whole lines;
//! whoever reads needs no lock, and lives with files that grow, are cut at a torn end and are deleted
//! beside it. Every whole line with a valid seal counts, nothing else does. Never decides what a
//! record says.

mod back;
mod lines;
mod reader;
mod recovery;
mod retention;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use reader::{Entry, Reader, Step};
pub use retention::{Bounds, drop_oldest, prune};
pub use writer::{Touched, Writer, Written};

/// What ends the names of segments.
const EXTENSION: &str = ".log";
/// Digits of their numbers: as many as the greatest number has.
const DIGITS: usize = 20;

/// Between two lines of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The segment, by the number of its first record.
    pub segment: u64,
    /// How many bytes of it are before this place.
    pub offset: u64,
    /// The number of the record that is expected here, from which follows how many are missing when
    /// the segment is no more; 0 where it is not known.
    pub seq: u64,
}

/// The log of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceLog {
    /// The app, `hello+3` with a port offset.
    pub app: String,
    /// The service within the app.
    pub service: String,
    /// The instance within the service.
    pub instance: u32,
    /// Where its segments are.
    pub folder: PathBuf,
}

/// Every instance that has a log below `logs`, or those of one app, by app, service and number.
pub fn instances(logs: &Path, app: Option<&str>) -> Vec<InstanceLog> {
    let apps = match app {
        Some(app) => vec![app.to_owned()],
        None => names(logs),
    };
    let mut all = Vec::new();
    for app in apps {
        // An app's name is one component: it must not lead elsewhere.
        if app.contains('/') || app.starts_with('.') {
            continue;
        }
        let above = logs.join(&app);
        for name in names(&above) {
            let Some((service, instance)) = name.rsplit_once('.') else { continue };
            let Ok(instance) = instance.parse() else { continue };
            let (app, service) = (app.clone(), service.to_owned());
            all.push(InstanceLog { app, service, instance, folder: above.join(&name) });
        }
    }
    all.sort_by(|a, b| (&a.app, &a.service, a.instance).cmp(&(&b.app, &b.service, b.instance)));
    all
}

/// The directories in a directory, by name; none where there is none.
fn names(above: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(above).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Where the segment with this first number is.
fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:0DIGITS$}{EXTENSION}"))
}

/// The segments of a folder by their first numbers, in order.
fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(digits) = name.to_str().and_then(|name| name.strip_suffix(EXTENSION)) else {
            continue;
        };
        if digits.len() == DIGITS {
            all.extend(digits.parse::<u64>());
        }
    }
    all.sort_unstable();
    Ok(all)
}
