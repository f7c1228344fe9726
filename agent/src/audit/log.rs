//! The files of the log: appended to under a lock, read without changing them.
//!
//! Invariant: the log is on disk before its head is, and the head never names an entry that is not;
//! what can't be written whole is taken back.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use host_sys::lock::{Share, lock};
use host_sys::{creds, process};
use manifest_spec::api::AuditEntry;
use serde_json::json;

use super::chain::{Head, LINE_BYTES, seal};
use super::verify::{Broken, Noted, Verified, Verifier, Why, read_head};
use super::{Actor, AuditError, Deed};
use crate::plan::Directories;
use crate::store;

/// The audit log of a state directory.
#[derive(Debug, Clone)]
pub struct Log {
    state: PathBuf,
}

impl Log {
    /// The log in these directories. Touches nothing.
    #[must_use]
    pub fn new(directories: &Directories) -> Self {
        Log { state: directories.state.clone() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    fn log_path(&self) -> PathBuf {
        self.path("audit.log")
    }

    fn head_path(&self) -> PathBuf {
        self.path("audit.head")
    }

    fn lock_path(&self) -> PathBuf {
        self.path("audit.lock")
    }

    /// Record a deed; it is on disk then. `at_ms` is Unix time in milliseconds.
    ///
    /// # Errors
    /// When it can't be written, or the log does not end where its head says: nothing was recorded
    /// then.
    pub fn append(&self, actor: &Actor, at_ms: u64, deed: Deed<'_>) -> Result<(), AuditError> {
        store::open(&self.state, &[])?;
        let held = self.open(&self.lock_path(), OpenOptions::new().read(true).write(true))?;
        lock(&held, Share::Alone).map_err(|errno| failed(&self.lock_path(), errno.into()))?;
        let mut log = self.open(&self.log_path(), OpenOptions::new().read(true).append(true))?;
        let mut end = self.end(&mut log)?;
        let length = log.metadata().map_err(|error| failed(&self.log_path(), error))?.len();
        if length > end.bytes {
            self.cut(&log, &end)?;
            let bytes = length - end.bytes;
            let recovered = Deed::done("recovered", "", json!({ "cut_bytes": bytes }));
            let recovered = recovered.entry(&own(), at_ms, &end);
            self.write(&mut log, &mut end, recovered)?;
        }
        let entry = deed.entry(actor, at_ms, &end);
        self.write(&mut log, &mut end, entry)
    }

    /// Where the log ends: its head, or what a crash left behind it.
    fn end(&self, log: &mut File) -> Result<Head, AuditError> {
        let path = self.log_path();
        let head = self.head()?;
        let is_known = head.is_some();
        let mut end = head.unwrap_or_else(Head::start);
        let length = log.metadata().map_err(|error| failed(&path, error))?.len();
        if length < end.bytes {
            // This fails, and says where: nothing is recorded any more.
            self.read(&mut *log, None)?;
            return Err(Broken { line: None, why: Why::CutOff { last: 0, head: end.n } }.into());
        }
        log.seek(SeekFrom::Start(end.bytes)).map_err(|error| failed(&path, error))?;
        let first = end.n + 1;
        lines(log, &path, |line| {
            let number = end.n + 1;
            end.follow(line).map(drop).map_err(|why| Broken { line: Some(number), why })
        })?;
        if !is_known && end.n > first {
            return Err(Broken { line: None, why: Why::HeadMissing }.into());
        }
        Ok(end)
    }

    /// Write an entry behind the end, and move the end there.
    fn write(&self, log: &mut File, end: &mut Head, entry: AuditEntry) -> Result<(), AuditError> {
        let (entry, line) = seal(entry);
        let new = Head { n: entry.n, bytes: end.bytes + line.len() as u64, hash: entry.hash };
        let written = match log.write(line.as_bytes()) {
            Ok(length) if length == line.len() => log.sync_data(),
            Ok(_) => Err(io::Error::from(io::ErrorKind::WriteZero)),
            Err(error) => Err(error),
        };
        let kept = written
            .map_err(|error| failed(&self.log_path(), error))
            .and_then(|()| self.replace_head(&new));
        if let Err(error) = kept {
            // What was not recorded must not look as if it had been. Should this fail too, the next
            // append finds the rest of a line, or an entry its head does not know.
            let _ = self.cut(log, end);
            return Err(error);
        }
        *end = new;
        Ok(())
    }

    fn cut(&self, log: &File, end: &Head) -> Result<(), AuditError> {
        let cut = log.set_len(end.bytes).and_then(|()| log.sync_data());
        cut.map_err(|error| failed(&self.log_path(), error))
    }

    fn replace_head(&self, head: &Head) -> Result<(), AuditError> {
        let (path, new) = (self.head_path(), self.path("audit.head.new"));
        let replace = || {
            let mut file =
                options(OpenOptions::new().write(true).truncate(true).create(true)).open(&new)?;
            file.write_all(head.text().as_bytes())?;
            // Else a power cut could leave the new name with nothing behind it.
            file.sync_data()?;
            std::fs::rename(&new, &path)?;
            // Once: from then on an older head is as good, for the log is checked from there on.
            if head.n == 1 { File::open(&self.state)?.sync_all() } else { Ok(()) }
        };
        replace().map_err(|error| failed(&path, error))
    }

    fn head(&self) -> Result<Option<Head>, AuditError> {
        let path = self.head_path();
        match options(OpenOptions::new().read(true)).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, error)),
            Ok(file) => {
                let mut text = String::new();
                let read = file.take(LINE_BYTES as u64).read_to_string(&mut text);
                match read {
                    Err(error) if error.kind() != io::ErrorKind::InvalidData => {
                        Err(failed(&path, error))
                    }
                    _ => Ok(Some(read_head(&text)?)),
                }
            }
        }
    }

    /// Verify the whole log, and that it has the entry somebody noted.
    ///
    /// # Errors
    /// [`AuditError::Broken`] for the first thing that is wrong.
    pub fn verify(&self, noted: Option<Noted>) -> Result<Verified, AuditError> {
        let Some((log, _held)) = self.look()? else {
            return Ok(Verifier::new(self.head()?, noted).finish(0)?);
        };
        self.read(log, noted)
    }

    fn read(&self, log: impl Read, noted: Option<Noted>) -> Result<Verified, AuditError> {
        let mut verifier = Verifier::new(self.head()?, noted);
        let unfinished = lines(log, &self.log_path(), |line| verifier.line(line).map(drop))?;
        Ok(verifier.finish(unfinished)?)
    }

    /// The last entries, the oldest first. They are not verified.
    ///
    /// # Errors
    /// When the log can't be read, or one of these lines is no entry.
    pub fn newest(&self, count: usize) -> Result<Vec<AuditEntry>, AuditError> {
        let Some((mut log, _held)) = self.look()? else { return Ok(Vec::new()) };
        let tail = tail(&mut log, count).map_err(|error| failed(&self.log_path(), error))?;
        let whole: Vec<&[u8]> = tail
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| line.ends_with(b"\n"))
            .collect();
        let newest = whole.len().saturating_sub(count);
        let read = |line: &&[u8]| {
            serde_json::from_slice(line).map_err(|error| {
                let error = io::Error::new(io::ErrorKind::InvalidData, error);
                failed(&self.log_path(), error)
            })
        };
        whole[newest..].iter().map(read).collect()
    }

    /// The log, and a lock that keeps it as it is meanwhile; `None` if there is no log.
    fn look(&self) -> Result<Option<(File, File)>, AuditError> {
        if store::existing(&self.state, &[])?.is_none() {
            return Ok(None);
        }
        let open = |path: PathBuf| match options(OpenOptions::new().read(true)).open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, error)),
        };
        let Some(held) = open(self.lock_path())? else {
            // Nothing was ever recorded, or the lock was taken away: nobody writes now.
            let log = open(self.log_path())?;
            return log
                .map(|log| Ok((log.try_clone()?, log)))
                .transpose()
                .map_err(|error: io::Error| failed(&self.log_path(), error));
        };
        lock(&held, Share::Shared).map_err(|errno| failed(&self.lock_path(), errno.into()))?;
        Ok(open(self.log_path())?.map(|log| (log, held)))
    }

    fn open(&self, path: &Path, how: &mut OpenOptions) -> Result<File, AuditError> {
        options(how.create(true)).open(path).map_err(|error| failed(path, error))
    }
}

/// Our files: nobody else's to read.
fn options(how: &mut OpenOptions) -> &mut OpenOptions {
    how.mode(0o600)
}

fn failed(path: &Path, error: io::Error) -> AuditError {
    AuditError::Io(path.to_owned(), error)
}

/// hostctl itself, for what it records of its own.
fn own() -> Actor {
    let (uid, gid) = creds::effective();
    Actor { uid, gid, pid: process::pid(), user: None }
}

/// Give every whole line to `take`; the answer is how many bytes follow the last one. A line longer
/// than any entry is given in part, and so is no entry.
fn lines(
    log: impl Read,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), Broken>,
) -> Result<u64, AuditError> {
    let mut log = BufReader::new(log);
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = LINE_BYTES as u64;
        let length = (&mut log).take(most).read_until(b'\n', &mut line);
        let length = length.map_err(|error| failed(path, error))?;
        if length < LINE_BYTES && !line.ends_with(b"\n") {
            return Ok(length as u64);
        }
        take(&line)?;
    }
}

/// The end of a file that has at least so many whole lines, or all of it.
fn tail(log: &mut File, count: usize) -> io::Result<Vec<u8>> {
    let length = log.metadata()?.len();
    let mut window = LINE_BYTES as u64;
    loop {
        let from = length.saturating_sub(window);
        log.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        log.take(length - from).read_to_end(&mut bytes)?;
        let breaks = bytes.iter().filter(|byte| **byte == b'\n').count();
        if from == 0 {
            return Ok(bytes);
        }
        // One more than is wanted: what precedes the first is the rest of a line.
        if breaks > count {
            let first = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            return Ok(bytes.split_off(first));
        }
        window *= 4;
    }
}
