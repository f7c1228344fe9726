//! Writes the log of an instance.
//!
//! Invariant: what a reader can see as a whole line stays; a line is either written as a whole or
//! not at all. The lines of one call are in one segment. Never waits for the disk: who wants what was
//! written to outlive the host takes [`Writer::written`] and syncs.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use manifest_spec::log::{Header, LogRecord, Resource, VERSION};

use super::recovery::{self, Found};
use super::{list, path};
use crate::logs::shape::line;

/// How much of what was to be written now stands in the log.
#[derive(Debug)]
pub struct Written {
    /// How many of the records.
    pub records: u64,
    /// How many bytes they are.
    pub bytes: usize,
    /// Why not all.
    pub error: Option<io::Error>,
}

/// See the module's text.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    resource: Resource,
    /// A segment is full at this size, in bytes.
    room: u64,
    current: Option<Current>,
    next: u64,
    written: Touched,
}

/// Files that may not be on the disk yet.
#[derive(Debug, Default)]
pub struct Touched {
    /// Those that were written to, in order.
    pub files: Vec<Arc<File>>,
    /// Whether one of them is new, so that its name is to be brought to the disk as well.
    pub begun: bool,
}

impl Touched {
    fn add(&mut self, file: &Arc<File>) {
        if !self.files.last().is_some_and(|last| Arc::ptr_eq(last, file)) {
            self.files.push(Arc::clone(file));
        }
    }
}

/// The segment that is written to.
#[derive(Debug)]
struct Current {
    file: Arc<File>,
    size: u64,
    /// The number of its first record, whether it has one yet or not.
    first: u64,
}

impl Writer {
    /// Go on with the log in `folder`, whose lock the caller has: in its last segment if that belongs
    /// to the same start of the instance, else in a new one, which is made when there is something
    /// to write. A torn end is cut off. With it, the last record of this start.
    ///
    /// # Errors
    /// When the folder or its last segment can't be read or cut.
    pub fn open(
        folder: &Path,
        resource: Resource,
        room: u64,
    ) -> io::Result<(Writer, Option<LogRecord>)> {
        let folder = folder.to_owned();
        let mut writer =
            Writer { folder, resource, room, current: None, next: 1, written: Touched::default() };
        for first in list(&writer.folder)?.into_iter().rev() {
            let path = path(&writer.folder, first);
            let Found { length, header, last } = recovery::examine(&path)?;
            let same = header.is_some_and(|header| header.resource == writer.resource);
            if writer.current.is_none() {
                writer.next = last.as_ref().map_or(first, |record| record.seq + 1);
                if last.is_none() && !same {
                    // Nothing in it is worth its name, which the new one will have.
                    fs::remove_file(&path)?;
                    continue;
                }
                let file = File::options().append(true).open(&path)?;
                if file.metadata()?.len() > length {
                    file.set_len(length)?;
                }
                if same {
                    writer.current = Some(Current { file: Arc::new(file), size: length, first });
                }
            }
            // A segment that was only just begun tells of no record; the one before it does.
            if last.is_some() || !same {
                return Ok((writer, last.filter(|_| same)));
            }
        }
        Ok((writer, None))
    }

    /// The number of the next record.
    pub fn next_seq(&self) -> u64 {
        self.next
    }

    /// Append whole lines, so many records, the first with this number, which is not below
    /// [`Writer::next_seq`]: what is between them was lost.
    pub fn write(&mut self, first: u64, lines: &[u8], records: u64) -> Written {
        // One without a record has the name that the next one would get.
        let is_full = |current: &Current| {
            current.size + lines.len() as u64 > self.room && current.first < self.next
        };
        if self.current.as_ref().is_some_and(is_full) {
            self.current = None;
        }
        if self.current.is_none() {
            match self.begin() {
                Ok(current) => self.current = Some(current),
                Err(error) => return Written { records: 0, bytes: 0, error: Some(error) },
            }
        }
        let Some(current) = &mut self.current else {
            return Written { records: 0, bytes: 0, error: None };
        };
        let (taken, error) = append(&current.file, lines);
        let (whole, records) = match taken == lines.len() {
            true => (taken, records),
            false => whole_lines(&lines[..taken]),
        };
        current.size += whole as u64;
        let torn = whole < taken && current.file.set_len(current.size).is_err();
        self.written.add(&current.file);
        if torn {
            // What is behind a beginning that can't be cut off would be read as its rest.
            self.current = None;
        }
        if records > 0 {
            self.next = first + records;
        }
        Written { records, bytes: whole, error }
    }

    /// What was written to since this was asked last.
    pub fn written(&mut self) -> Touched {
        std::mem::take(&mut self.written)
    }

    /// Make the next segment, with its header.
    fn begin(&mut self) -> io::Result<Current> {
        let path = path(&self.folder, self.next);
        let file = File::options().append(true).create_new(true).mode(0o640).open(&path)?;
        let resource = self.resource.clone();
        let header = Header { v: VERSION, resource, first_seq: self.next };
        let mut text = Vec::new();
        line::header(&mut text, &header);
        if let (_, Some(error)) = append(&file, &text) {
            // Without it the next try finds its name taken.
            fs::remove_file(&path)?;
            return Err(error);
        }
        self.written.begun = true;
        Ok(Current { file: Arc::new(file), size: text.len() as u64, first: self.next })
    }
}

/// How many bytes of these are whole lines, and how many lines that is.
fn whole_lines(bytes: &[u8]) -> (usize, u64) {
    let whole = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
    (whole, memchr::memchr_iter(b'\n', &bytes[..whole]).count() as u64)
}

/// Write as much as can be; how much that was.
fn append(mut file: &File, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match file.write(&bytes[taken..]) {
            Ok(0) => return (taken, Some(io::ErrorKind::WriteZero.into())),
            Ok(count) => taken += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (taken, Some(error)),
        }
    }
    (taken, None)
}
