//! Log files: opened before the program starts, appended to, losses counted.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::record::Draft;

/// Every file sink of a run.
#[derive(Debug)]
pub struct LogFiles {
    files: Vec<(PathBuf, File, u64)>,
    seq: u64,
    clock: fn() -> Duration,
}

/// A file that can't be written.
#[derive(Debug)]
pub struct OpenError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub error: std::io::Error,
}

impl LogFiles {
    /// Open every file for appending, made readable by its owner and group if it is new. A
    /// symbolic link in the last place is not followed: a program could have put it there.
    ///
    /// # Errors
    /// The first file that can't be opened.
    pub fn open(paths: &[PathBuf], clock: fn() -> Duration) -> Result<Self, OpenError> {
        let open = |path: &Path| {
            File::options()
                .append(true)
                .create(true)
                .mode(0o640)
                .custom_flags(host_sys::file::NO_FOLLOW)
                .open(path)
        };
        let files = paths.iter().map(|path| match open(path) {
            Ok(file) => Ok((path.clone(), file, 0)),
            Err(error) => Err(OpenError { path: path.clone(), error }),
        });
        Ok(LogFiles { files: files.collect::<Result<_, _>>()?, seq: 0, clock })
    }

    /// Append one record to every file; a file that takes no more counts what it missed.
    pub(super) fn write(&mut self, draft: Draft) {
        self.seq += 1;
        let record = draft.record(self.seq, (self.clock)());
        // A record holds text, numbers and maps with text keys: all of that is JSON.
        let Ok(mut line) = serde_json::to_vec(&record) else { return };
        line.push(b'\n');
        for (_, file, lost) in &mut self.files {
            if file.write_all(&line).is_err() {
                *lost += 1;
            }
        }
    }

    /// How many records each file missed, where any.
    pub(super) fn losses(self) -> Vec<(PathBuf, u64)> {
        self.files.into_iter().map(|(path, _, lost)| (path, lost)).filter(|(_, l)| *l > 0).collect()
    }
}
