//! Brings what was written to the disk, beside whoever writes.
//!
//! Invariant: what was handed over is on the disk a tenth of a second later, or a mebibyte later if
//! that is sooner, and as long as the disk takes for it; whoever hands over never waits for the disk.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long what was written may wait.
const PAUSE: Duration = Duration::from_millis(100);
/// How much of it may wait, in bytes.
const AMOUNT: u64 = 1024 * 1024;

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    files: Vec<Arc<File>>,
    bytes: u64,
    /// When the first of it was handed over.
    since: Option<Instant>,
    /// A file was made, and its name is to be on the disk as well.
    named: bool,
    closing: bool,
}

/// See the module's text. Dropped, it first does what there is to do.
#[derive(Debug)]
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// One for the files of a folder.
    pub(super) fn start(folder: PathBuf) -> std::io::Result<Syncer> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("sync".into())
            .stack_size(64 * 1024)
            .spawn(move || work(&theirs, &folder))?;
        Ok(Syncer { shared, thread: Some(thread) })
    }

    /// These files were written to, so many bytes in all; `named` if one of them is new.
    pub(super) fn hand_over(&self, files: Vec<Arc<File>>, bytes: u64, named: bool) {
        let mut waiting = lock(&self.shared);
        for file in files {
            if !waiting.files.iter().any(|known| Arc::ptr_eq(known, &file)) {
                waiting.files.push(file);
            }
        }
        let before = (waiting.since.is_some(), waiting.bytes >= AMOUNT);
        waiting.bytes += bytes;
        waiting.named |= named;
        waiting.since.get_or_insert_with(Instant::now);
        if before != (true, waiting.bytes >= AMOUNT) {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        lock(&self.shared).closing = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Shared) -> std::sync::MutexGuard<'_, Waiting> {
    // Nothing in here can be half done.
    shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(shared: &Shared, folder: &std::path::Path) {
    loop {
        let Some(Waiting { files, named, .. }) = next(shared) else { return };
        for file in files {
            // Whoever can't be told: what is not on the disk yet is read from memory all the same.
            let _ = file.sync_data();
        }
        if named {
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
    }
}

/// Wait until something is due; `None` when there will be nothing more.
fn next(shared: &Shared) -> Option<Waiting> {
    let mut waiting = lock(shared);
    loop {
        let due = waiting.since.map(|since| since + PAUSE);
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        let now = waiting.bytes >= AMOUNT || waiting.closing || left == Some(Duration::ZERO);
        match left {
            Some(_) if now => {
                let closing = waiting.closing;
                return Some(std::mem::replace(
                    &mut *waiting,
                    Waiting { closing, ..Waiting::default() },
                ));
            }
            None if waiting.closing => return None,
            Some(left) => {
                let woken = shared.changed.wait_timeout(waiting, left);
                waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
            }
            None => {
                let woken = shared.changed.wait(waiting);
                waiting = woken.unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}
