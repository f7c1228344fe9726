//! How much of the logs of an app is kept.
//!
//! Invariant: the last segment of an instance stays as long as the instance has a writer, and what
//! belongs to an instance with another writer is that one's to delete. Deletes from the oldest on, so
//! what is left of a log is its end.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host_sys::lock::{Share, try_lock};

use super::{list, names, path};

/// What is kept of an app's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes, of all its instances together.
    pub size: u64,
    /// How long after it was written to last a segment is kept.
    pub age: Duration,
}

impl Bounds {
    /// How large a segment may become, in bytes: small enough that a sixteenth of what is kept goes
    /// at once.
    pub fn segment(&self) -> u64 {
        const SMALLEST: u64 = 256 * 1024;
        const LARGEST: u64 = 8 * 1024 * 1024;
        (self.size / 16).clamp(SMALLEST, LARGEST)
    }
}

/// A segment that may be deleted.
#[derive(Debug)]
struct Old {
    path: PathBuf,
    written: Duration,
    size: u64,
}

/// Delete what is too old, and the oldest until `room` bytes more fit into the bounds: of this
/// instance, whose folder it is and whose lock the caller has, and of instances that nobody writes
/// for. How many bytes were freed.
///
/// # Errors
/// When the app's folder can't be read. What can't be deleted is passed over.
pub fn prune(folder: &Path, bounds: Bounds, room: u64, now: Duration) -> io::Result<u64> {
    let Some(above) = folder.parent() else { return Ok(0) };
    let (mut old, mut total, mut locks) = (Vec::new(), 0, Vec::new());
    for name in names(above) {
        let instance = above.join(name);
        let own = instance == folder;
        let mut segments = segments(&instance)?;
        total += segments.iter().map(|segment| segment.size).sum::<u64>();
        let free = (!own).then(|| lock(&instance)).flatten();
        if own {
            segments.pop();
        }
        if own || free.is_some() {
            old.append(&mut segments);
        }
        locks.extend(free);
    }
    old.sort_by_key(|segment| segment.written);
    let mut freed = 0;
    for segment in old {
        let outdated = segment.written + bounds.age < now;
        let too_much = (total + room).saturating_sub(freed) > bounds.size;
        if (outdated || too_much) && fs::remove_file(&segment.path).is_ok() {
            freed += segment.size;
        }
    }
    Ok(freed)
}

/// Delete the oldest segment of an instance but for its last; whether there was one.
///
/// # Errors
/// When the folder can't be read or the file not be deleted.
pub fn drop_oldest(folder: &Path) -> io::Result<bool> {
    match list(folder)?.as_slice() {
        [oldest, _, ..] => fs::remove_file(path(folder, *oldest)).map(|()| true),
        _ => Ok(false),
    }
}

/// The lock of an instance that nobody writes for.
fn lock(folder: &Path) -> Option<File> {
    let file = File::options().write(true).open(folder.join("lock")).ok()?;
    try_lock(&file, Share::Alone).ok()?.then_some(file)
}

/// The segments of an instance, in order.
fn segments(folder: &Path) -> io::Result<Vec<Old>> {
    let mut all = Vec::new();
    for first in list(folder)? {
        let path = path(folder, first);
        // Its own writer may be deleting it.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let written = metadata.modified()?.duration_since(std::time::UNIX_EPOCH);
        let written = written.unwrap_or_default();
        all.push(Old { path, written, size: metadata.len() });
    }
    Ok(all)
}
