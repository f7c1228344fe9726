//! Log files: opened before the program starts, appended to, losses counted.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host_sys::Errno;
use host_sys::file::Kind;

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
    /// Open every file for appending, made readable by its owner and group if it is new. No
    /// symbolic link is followed on the way: hostctl may be root, and a program or another user
    /// could have put it there.
    ///
    /// # Errors
    /// The first file that can't be opened, or that is neither a file nor a character device.
    pub fn open(paths: &[PathBuf], clock: fn() -> Duration) -> Result<Self, OpenError> {
        let files = paths.iter().map(|path| match open(path) {
            Ok(file) => Ok((path.clone(), file, 0)),
            Err(error) => Err(OpenError { path: path.clone(), error }),
        });
        Ok(LogFiles { files: files.collect::<Result<_, _>>()?, seq: 0, clock })
    }

    /// Whether there is none, and nobody wants records.
    pub(super) fn are_none(&self) -> bool {
        self.files.is_empty()
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

fn open(path: &Path) -> std::io::Result<File> {
    let said = |errno: Errno| match errno {
        Errno::ELOOP => {
            std::io::Error::other("leads through a symbolic link; name the file itself")
        }
        Errno::ENXIO => std::io::Error::other("is a named pipe or a socket"),
        errno => std::io::Error::from_raw_os_error(errno as i32),
    };
    let opened = host_sys::file::append(path, 0o640).map_err(said)?;
    match host_sys::file::status(opened.as_fd()).map_err(said)?.kind {
        Kind::File | Kind::Device => Ok(File::from(opened)),
        _ => Err(std::io::Error::other("is not a file")),
    }
}
