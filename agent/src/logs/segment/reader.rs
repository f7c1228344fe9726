//! Reads the log of an instance, in order, from wherever one wishes.
//!
//! Invariant: a record is handed out once and in the order of the files; what lies between two that
//! are handed out and can't be is told, and how much it was. Takes no lock and changes nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use manifest_spec::log::{LogRecord, Resource, attribute};

use super::back::{Found, last_lines};
use super::lines::{Lines, Piece};
use super::{Place, list, path};
use crate::logs::shape::line::{self, Line};
use crate::logs::stamp;

/// A record with what is known about it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it begins.
    pub place: Place,
    /// Where the next one begins.
    pub next: Place,
    /// What it belongs to.
    pub resource: Arc<Resource>,
    /// The record.
    pub record: LogRecord,
    /// Its line as it stands in the log, without the line end.
    pub text: Vec<u8>,
}

/// What comes next in a log.
#[derive(Debug, Clone)]
pub enum Step {
    /// A record.
    Entry(Box<Entry>),
    /// Records that were deleted before they were read.
    Missing {
        /// The number of the first.
        first: u64,
        /// The number of the last.
        last: u64,
    },
    /// Lines that can't be read.
    Damaged {
        /// Where the first of them begins.
        place: Place,
        /// How many records were lost by it, as their numbers tell; at the end of the log, where no
        /// number tells yet, how many lines it is.
        lines: u64,
    },
    /// Nothing yet. What is written later comes next.
    End,
}

/// See the module's text.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    /// The segment that is read, or was; 0 before the first.
    segment: u64,
    open: Option<Lines>,
    resource: Arc<Resource>,
    /// The segment that comes after it, if one was seen: the open one is then complete.
    following: Option<u64>,
    /// The number of the next record, if that is known.
    expected: Option<u64>,
    /// Records before this number are passed over.
    from: u64,
    damage: Option<(Place, u64)>,
    /// What comes after the step that was handed out last.
    ready: Option<Box<Entry>>,
}

impl Reader {
    /// Read a log from its oldest record on.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn open(folder: &Path) -> io::Result<Reader> {
        std::fs::read_dir(folder)?;
        Ok(Reader {
            folder: folder.to_owned(),
            segment: 0,
            open: None,
            resource: Arc::new(named_by(folder)),
            following: None,
            expected: None,
            from: 0,
            damage: None,
            ready: None,
        })
    }

    /// Where the next step begins.
    pub fn place(&self) -> Place {
        if let Some(entry) = &self.ready {
            return entry.place;
        }
        let offset = self.open.as_ref().map_or(0, Lines::offset);
        Place { segment: self.segment, offset, seq: self.expected.unwrap_or(self.from) }
    }

    /// Go on at a place that an [`Entry`] told, of this reader or another, now or earlier.
    ///
    /// # Errors
    /// When the segment is there and can't be read.
    pub fn seek(&mut self, place: Place) -> io::Result<()> {
        self.forget(place.segment);
        self.expected = (place.seq > 0).then_some(place.seq);
        // What is no more is found missing when the next record is read.
        if self.enter(place.segment)?
            && let Some(lines) = &mut self.open
        {
            lines.seek(place.offset);
        }
        Ok(())
    }

    /// Go on at the record with this number.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn seek_seq(&mut self, seq: u64) -> io::Result<()> {
        let all = list(&self.folder)?;
        let segment = all.iter().rev().find(|first| **first <= seq);
        self.seek(Place { segment: segment.copied().unwrap_or(0), offset: 0, seq })?;
        self.from = seq;
        Ok(())
    }

    /// Go to where records of this time (RFC 3339 in UTC) may begin: what was written last before it
    /// is passed over, file by file and by whole seconds, so earlier records may still come.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn seek_time(&mut self, since: &str) -> io::Result<()> {
        let all = list(&self.folder)?;
        let since = seconds(since);
        let later = all.iter().find(|first| {
            let written = std::fs::metadata(path(&self.folder, **first)).ok();
            let written = written.and_then(|metadata| metadata.modified().ok());
            let written = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            written.is_some_and(|at| seconds(&stamp(at)) >= since)
        });
        let segment = later.or(all.last()).copied().unwrap_or(0);
        self.forget(segment);
        self.expected = (segment > 0).then_some(segment);
        self.enter(segment).map(|_| ())
    }

    /// Go to where `count` records are left.
    ///
    /// # Errors
    /// When the folder or a file in it can't be read.
    pub fn seek_last(&mut self, count: u64) -> io::Result<()> {
        self.forget(0);
        let mut left = count;
        for first in list(&self.folder)?.into_iter().rev() {
            if !self.enter(first)? {
                break;
            }
            let Some(lines) = &mut self.open else { break };
            match last_lines(lines.file(), left)? {
                Found::At(offset) => {
                    lines.seek(offset);
                    break;
                }
                Found::Before(records) => left -= records.min(left),
            }
        }
        self.following = None;
        Ok(())
    }

    /// The next step.
    ///
    /// # Errors
    /// When a file can't be read.
    #[allow(clippy::should_implement_trait)] // its end is not the end: it goes on when more comes
    pub fn next(&mut self) -> io::Result<Step> {
        if let Some(entry) = self.ready.take() {
            return Ok(Step::Entry(entry));
        }
        loop {
            let place = self.place();
            let Some(lines) = &mut self.open else {
                if self.advance()? {
                    continue;
                }
                return Ok(self.pause());
            };
            match lines.next()? {
                Piece::Line(range) => {
                    let text = lines.get(range);
                    match line::read(text) {
                        Ok(Line::Header(header)) => self.resource = Arc::new(header.resource),
                        Ok(Line::Record(record)) if record.seq < self.from => self.damage = None,
                        Ok(Line::Record(record)) => {
                            let text = text.to_vec();
                            return Ok(self.take(place, record, text));
                        }
                        Err(_) => self.damaged(place),
                    }
                }
                Piece::TooLong => self.damaged(place),
                piece @ (Piece::Unfinished | Piece::End) => {
                    let complete = self.following.is_some();
                    if complete && piece == Piece::Unfinished {
                        self.damaged(place);
                    }
                    if !self.advance()? {
                        return Ok(self.pause());
                    }
                }
            }
        }
    }

    fn forget(&mut self, segment: u64) {
        self.segment = segment;
        (self.open, self.following, self.expected) = (None, None, None);
        (self.damage, self.ready) = (None, None);
        self.from = 0;
    }

    fn damaged(&mut self, place: Place) {
        self.damage.get_or_insert((place, 0)).1 += 1;
    }

    /// Hand out a record, or first what is missing before it.
    fn take(&mut self, place: Place, record: LogRecord, text: Vec<u8>) -> Step {
        let seq = record.seq;
        let place = Place { seq, ..place };
        let next = Place { offset: place.offset + text.len() as u64 + 1, seq: seq + 1, ..place };
        // A record that stands for lost ones says itself which they are.
        let begins = record.attributes.get(attribute::GAP_FIRST).and_then(|first| first.as_u64());
        let begins = begins.unwrap_or(seq).min(seq);
        let expected = self.expected.replace(seq + 1);
        let resource = Arc::clone(&self.resource);
        let entry = Box::new(Entry { place, next, resource, record, text });
        let lost = expected.map(|expected| begins.saturating_sub(expected));
        let step = match (self.damage.take(), lost, expected) {
            (Some((place, lines)), lost, _) => {
                Step::Damaged { place, lines: lost.unwrap_or(lines) }
            }
            (None, Some(1..), Some(first)) => Step::Missing { first, last: begins - 1 },
            (None, _, _) => return Step::Entry(entry),
        };
        self.ready = Some(entry);
        step
    }

    /// There is nothing more for now. What is damaged at the very end is told at once.
    fn pause(&mut self) -> Step {
        let Some((place, lines)) = self.damage.take() else { return Step::End };
        // Its numbers are as unknown as what it said.
        self.expected = None;
        Step::Damaged { place, lines }
    }

    /// At the end of the open file: whether there is something more to be read, in it or in another.
    fn advance(&mut self) -> io::Result<bool> {
        if let Some(following) = self.following.take() {
            self.enter(following)?;
            return Ok(true);
        }
        self.following = list(&self.folder)?.into_iter().find(|first| *first > self.segment);
        if self.following.is_some() {
            // Its writer was done with the open file before it made the next; between our look into
            // it and our look for the next it may have written more.
            return Ok(true);
        }
        self.was_changed()
    }

    /// Whether the open file was cut behind the place, or begun anew under its name; the place is
    /// then put right.
    fn was_changed(&mut self) -> io::Result<bool> {
        let Some(lines) = &mut self.open else { return Ok(false) };
        let ours = lines.file().metadata()?;
        if ours.len() < lines.offset() {
            lines.seek(ours.len());
            return Ok(true);
        }
        let named = std::fs::metadata(path(&self.folder, self.segment));
        let same = named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino()));
        // One that was deleted has no successor yet, or it would have been found.
        Ok(!same && ours.nlink() == 0 && self.enter(self.segment)?)
    }

    /// Begin with a segment; whether it is there. Its header tells whose its records are, wherever
    /// in it one goes on.
    fn enter(&mut self, first: u64) -> io::Result<bool> {
        self.segment = first;
        self.open = None;
        let mut lines = match File::open(path(&self.folder, first)) {
            Ok(file) => Lines::new(file, 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if let Piece::Line(range) = lines.next()?
            && let Ok(Line::Header(header)) = line::read(lines.get(range))
        {
            self.resource = Arc::new(header.resource);
        }
        lines.seek(0);
        self.open = Some(lines);
        Ok(true)
    }
}

/// What the names of the folders tell, for records whose header can't be read.
fn named_by(folder: &Path) -> Resource {
    let name = |path: Option<&Path>| {
        let name = path.and_then(Path::file_name);
        name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let own = name(Some(folder));
    let (service, instance) = own.rsplit_once('.').unwrap_or((&own, "0"));
    Resource {
        app: name(folder.parent()),
        service: service.to_owned(),
        instance: instance.parse().unwrap_or(0),
        version: None,
        host: String::new(),
        boot_id: String::new(),
        started: String::new(),
    }
}

/// A time without what is behind its whole seconds.
fn seconds(time: &str) -> &str {
    time.get(.."2000-01-01T00:00:00".len()).unwrap_or(time)
}
