//! A file as a sink, shared by all instances that name it, with older copies of itself beside it.
//!
//! Owns the file while it has its lock (flock(2)), which is for as long as one batch is written, one
//! file is rotated, or the lines that a killed writer left are looked at. Invariant: under the lock
//! the file ends with a whole line, and after a kill each record is in it once: what was written and
//! not yet noted is found again by its number. A batch is written to the file that has the name
//! under the lock. Never follows a symbolic link, and never takes away a line that is not ours.

mod copies;
mod scan;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use host_sys::Errno;
use host_sys::file::{self as sys, Kind};
use host_sys::lock::{Share, try_lock};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::line;
use super::{Answer, Verdict};
use crate::logs::route::batch::Part;

/// Whoever may read the files: owner and group.
const MODE: u32 = 0o640;
/// How long another writer is waited for. It writes one batch at a time; one that was stopped
/// (SIGSTOP) has to be waited for by all, but not so that nothing else is done.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest pause between two tries at the lock.
const SLOWEST: Duration = Duration::from_millis(20);

/// How a file is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Most bytes of a file; a line that is longer has one of its own.
    pub bytes: u64,
    /// How many older files stay.
    pub copies: u32,
}

/// How far a file had been written when that was noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Device and inode; zeros for a file that was not there.
    pub identity: (u64, u64),
    /// Bytes in it.
    pub size: u64,
}

/// A file sink. It holds nothing between two batches.
#[derive(Debug)]
pub struct FileSink {
    directory: PathBuf,
    name: PathBuf,
    rotation: Option<Rotation>,
    mark: Option<Mark>,
    /// What a writer before us may have written without noting it.
    unnoted: Option<Unnoted>,
    /// Our records up to this number are in the file.
    has: Option<u64>,
}

/// Whose lines are looked for, and where.
#[derive(Debug, Clone, Copy)]
struct Unnoted {
    since: Option<Mark>,
    /// Numbers up to this one can be in the file; a higher one is of a record the log has lost.
    most: u64,
}

/// The file, locked.
struct Locked {
    directory: OwnedFd,
    file: File,
    status: sys::Status,
}

impl FileSink {
    /// The sink at this path, which is absolute. Touches nothing.
    pub fn new(path: &Path, rotation: Option<Rotation>) -> FileSink {
        FileSink {
            directory: path.parent().unwrap_or(Path::new("/")).to_owned(),
            name: path.file_name().map(PathBuf::from).unwrap_or_default(),
            rotation,
            mark: None,
            unnoted: None,
            has: None,
        }
    }

    /// How far the file is, to be noted with what was delivered.
    pub fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// Begin with nothing delivered: what is in the file by now is no matter of ours.
    pub fn begin(&mut self) {
        let status = sys::hold_directory(&self.directory)
            .and_then(|directory| sys::status_in(directory.as_fd(), &self.name));
        self.mark = match status {
            Ok(status) => Some(Mark { identity: status.identity, size: status.size }),
            Err(Errno::ENOENT) => Some(Mark { identity: (0, 0), size: 0 }),
            // It will fail in the same way when it is written, and say so.
            Err(_) => None,
        };
    }

    /// Go on behind what was noted. The log has records up to number `most`.
    pub fn resume(&mut self, mark: Option<Mark>, most: u64) {
        self.mark = mark;
        self.unnoted = Some(Unnoted { since: mark, most });
    }

    /// Append records.
    pub async fn deliver(&mut self, part: &Part<'_>) -> Answer {
        let mut taken = 0;
        while taken < part.count() {
            let written = match self.lock().await {
                Ok(locked) => self.write(locked, &part.without(taken)),
                Err(error) => Err(Stopped { taken: 0, error }),
            };
            match written {
                Ok(count) => taken += count,
                Err(stopped) => {
                    let said = said(&stopped.error);
                    return Answer::none(Verdict::Failed, said).after(taken + stopped.taken);
                }
            }
        }
        Answer::taken(taken)
    }

    /// See to it that what was written is on the disk.
    ///
    /// # Errors
    /// What fdatasync(2) says.
    pub fn sync(&self) -> io::Result<()> {
        let directory = sys::hold_directory(&self.directory)?;
        let file = sys::append_in(directory.as_fd(), &self.name, MODE, false)?;
        File::from(file).sync_data()
    }

    /// The file that has the name now, made if it is missing, with its lock.
    async fn lock(&self) -> io::Result<Locked> {
        let end = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(1);
        loop {
            let directory = sys::hold_directory(&self.directory)?;
            let file = sys::append_in(directory.as_fd(), &self.name, MODE, true)?;
            let status = sys::status(file.as_fd())?;
            if !matches!(status.kind, Kind::File | Kind::Device) {
                return Err(io::Error::other("is not a file"));
            }
            if try_lock(&file, Share::Alone)? {
                // Another may have rotated it before we had the lock.
                let named = sys::status_in(directory.as_fd(), &self.name);
                if named.is_ok_and(|named| named.identity == status.identity) {
                    let status = sys::status(file.as_fd())?;
                    return Ok(Locked { directory, file: file.into(), status });
                }
            } else if Instant::now() >= end {
                return Err(io::Error::other("another process has it locked"));
            } else {
                sleep(pause).await;
                pause = (pause * 2).min(SLOWEST);
            }
        }
    }

    /// Write what fits into this file; how many records are in it now, or in an older one. Zero
    /// after a rotation: there is another file to lock.
    fn write(&mut self, mut locked: Locked, part: &Part<'_>) -> Result<usize, Stopped> {
        let is_file = locked.status.kind == Kind::File;
        if is_file {
            locked.status.size = scan::mend(&locked.file, locked.status.size)?;
            if let Some(unnoted) = self.unnoted {
                self.has = Self::find(&self.name, &locked, part, unnoted)?;
                self.unnoted = None;
            }
            let known = part.pieces().iter().take_while(|piece| Some(piece.seq) <= self.has);
            match known.count() {
                0 => {}
                known => return Ok(known),
            }
        }
        let mut lines = Vec::new();
        if is_file && locked.status.size == 0 {
            line::append_header(part.resource(), part.first_seq(), &mut lines);
        }
        let header = lines.len();
        let room = self.rotation.map_or(u64::MAX, |rotation| rotation.bytes);
        let mut count = 0;
        for record in part.each() {
            let size = locked.status.size + (lines.len() + record.len()) as u64;
            if is_file && size > room && (count > 0 || locked.status.size > 0) {
                break;
            }
            lines.extend_from_slice(record);
            count += 1;
        }
        if count == 0 {
            let copies = self.rotation.map_or(0, |rotation| rotation.copies);
            copies::rotate(locked.directory.as_fd(), &self.name, copies)?;
            return Ok(0);
        }
        let ends = part.pieces()[..count].iter().map(|piece| piece.end);
        let start = part.pieces()[0].end - part.each().next().map_or(0, <[u8]>::len);
        let written = append(&mut locked, &lines, header, start, ends);
        self.mark = Some(Mark { identity: locked.status.identity, size: locked.status.size });
        written
    }

    /// The highest number of our records in the files.
    fn find(
        name: &Path,
        locked: &Locked,
        part: &Part<'_>,
        unnoted: Unnoted,
    ) -> io::Result<Option<u64>> {
        let whose = scan::Whose { resource: part.resource(), most: unnoted.most };
        scan::highest(locked.directory.as_fd(), name, unnoted.since, &whose)
    }
}

/// Writing ended early.
struct Stopped {
    /// So many records are in the file.
    taken: usize,
    error: io::Error,
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Stopped { taken: 0, error }
    }
}

impl From<Errno> for Stopped {
    fn from(errno: Errno) -> Self {
        Stopped::from(io::Error::from(errno))
    }
}

/// Append lines and note the new size. What can't be written whole is taken back to its last whole
/// record.
fn append(
    locked: &mut Locked,
    lines: &[u8],
    header: usize,
    start: usize,
    ends: impl Iterator<Item = usize>,
) -> Result<usize, Stopped> {
    let before = locked.status.size;
    let mut done = 0;
    let failed = loop {
        match locked.file.write(&lines[done..]) {
            Ok(0) => break Some(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Some(error),
        }
        if done == lines.len() {
            break None;
        }
    };
    let records = done.saturating_sub(header);
    let whole: Vec<usize> = ends.map(|end| end - start).take_while(|end| *end <= records).collect();
    let Some(error) = failed else {
        locked.status.size = before + done as u64;
        return Ok(whole.len());
    };
    let kept = whole.last().map_or(0, |end| header + end) as u64;
    // Should this fail, the next one who has the lock mends it.
    let _ = locked.file.set_len(before + kept);
    locked.status.size = before + kept;
    Err(Stopped { taken: whole.len(), error })
}

/// What is wrong with a file, in words.
fn said(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ELOOP) => "leads through a symbolic link; name the file itself".to_owned(),
        Some(Errno::ENXIO) => "is a named pipe or a socket".to_owned(),
        Some(errno) => errno.desc().to_lowercase(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
