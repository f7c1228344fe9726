//! One instance's log, a record ahead, so that it can be compared with others by time.
//!
//! Invariant: what is missing is told with the record that it was found before, and in its order.

use std::path::PathBuf;
use std::sync::Arc;

use manifest_spec::api::LogLine;
use manifest_spec::log::{LogRecord, Resource, Severity, VERSION, attribute};
use serde_json::Map;

use super::ReadError;
use super::when;
use crate::logs::segment::{Entry, InstanceLog, Place, Reader, Step};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Source {
    log: InstanceLog,
    reader: Reader,
    head: Option<Head>,
    /// It had nothing more when it was last asked.
    dry: bool,
    resource: Arc<Resource>,
    /// When its last record was written.
    last: String,
    /// Where to begin, if it has not.
    beginning: Option<Beginning>,
}

/// Where a log is begun with.
#[derive(Debug, Clone)]
pub(super) enum Beginning {
    /// With what is left of it.
    Oldest,
    /// With the last so many records.
    Last(u64),
    /// Where records of this time may begin.
    Time(String),
}

/// What comes next of it.
#[derive(Debug)]
pub(super) struct Head {
    /// When it was written, in nanoseconds since 1970.
    time: u64,
    /// What is missing before it.
    pub(super) lost: Option<LogLine>,
    /// The record; none at the end of a log that is damaged there.
    pub(super) entry: Option<Box<Entry>>,
}

impl Head {
    /// The work that it was to read it, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.entry.as_ref().map_or(0, |entry| entry.text.len()) + 64
    }
}

/// What can't be read any more.
struct Lost {
    first: u64,
    count: u64,
    cause: &'static str,
}

impl Source {
    pub(super) fn open(log: InstanceLog) -> Result<Source, ReadError> {
        let reader = Reader::open(&log.folder);
        let reader = reader.map_err(|error| ReadError::Io(log.folder.clone(), error))?;
        let resource = Arc::new(Resource {
            app: log.app.clone(),
            service: log.service.clone(),
            instance: log.instance,
            version: None,
            host: String::new(),
            boot_id: String::new(),
            started: String::new(),
        });
        let last = crate::logs::stamp(std::time::Duration::ZERO);
        Ok(Source { log, reader, head: None, dry: false, resource, last, beginning: None })
    }

    pub(super) fn is_of(&self, log: &InstanceLog) -> bool {
        self.log.folder == log.folder
    }

    /// Begin here, and not with what is left of it.
    pub(super) fn begins_at(&mut self, beginning: Beginning) {
        self.beginning = Some(beginning);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.beginning.is_none()
    }

    /// Go to where it begins.
    pub(super) fn begin(&mut self) -> Result<(), ReadError> {
        let sought = match self.beginning.take() {
            Some(Beginning::Last(count)) => self.reader.seek_last(count),
            Some(Beginning::Time(since)) => self.reader.seek_time(&since),
            Some(Beginning::Oldest) | None => Ok(()),
        };
        sought.map_err(|error| ReadError::Io(self.folder(), error))
    }

    pub(super) fn seek(&mut self, place: Place) -> Result<(), ReadError> {
        (self.head, self.dry) = (None, false);
        self.reader.seek(place).map_err(|error| ReadError::Io(self.folder(), error))
    }

    /// There may be more by now.
    pub(super) fn moisten(&mut self) {
        self.dry = false;
    }

    /// When its next record was written, if there is one.
    pub(super) fn next_time(&mut self) -> Result<Option<u64>, ReadError> {
        if self.head.is_none() && !self.dry {
            self.head = self.read()?;
            self.dry = self.head.is_none();
        }
        Ok(self.head.as_ref().map(|head| head.time))
    }

    pub(super) fn take(&mut self) -> Option<Head> {
        self.head.take()
    }

    fn read(&mut self) -> Result<Option<Head>, ReadError> {
        let mut lost = None;
        loop {
            let step = self.reader.next().map_err(|error| ReadError::Io(self.folder(), error))?;
            match step {
                Step::Entry(entry) => {
                    self.resource = Arc::clone(&entry.resource);
                    self.last.clone_from(&entry.record.ts);
                    let lost = lost.map(|lost| self.line(&lost));
                    let time = when::recorded(&entry.record.ts).unwrap_or_default();
                    return Ok(Some(Head { time, lost, entry: Some(entry) }));
                }
                Step::Missing { first, last } => {
                    let count = last.saturating_sub(first).saturating_add(1);
                    lost = Some(Lost { first, count, cause: "deleted before they were read" });
                }
                Step::Damaged { place, lines } => {
                    lost = Some(Lost { first: place.seq, count: lines, cause: "damaged" });
                }
                Step::End => {
                    let time = when::recorded(&self.last).unwrap_or_default();
                    let lost = lost.map(|lost| self.line(&lost));
                    return Ok(lost.map(|lost| Head { time, lost: Some(lost), entry: None }));
                }
            }
        }
    }

    /// What stands for lost records, in the form of a gap that was written down.
    fn line(&self, lost: &Lost) -> LogLine {
        let Lost { first, count, cause } = *lost;
        let mut attributes = Map::new();
        attributes.insert(attribute::STREAM.to_owned(), "agent".into());
        attributes.insert(attribute::GAP.to_owned(), count.into());
        if first > 0 {
            attributes.insert(attribute::GAP_FIRST.to_owned(), first.into());
        }
        attributes.insert(attribute::GAP_CAUSE.to_owned(), cause.into());
        let records = if count == 1 { "record is" } else { "records are" };
        let record = LogRecord {
            v: VERSION,
            seq: (first + count).saturating_sub(1),
            ts: self.last.clone(),
            severity: Severity::Warn,
            body: format!("{count} {records} missing: {cause}"),
            attributes,
            trace_id: None,
            span_id: None,
            at: None,
        };
        LogLine::new(&self.resource, record)
    }

    fn folder(&self) -> PathBuf {
        self.log.folder.clone()
    }
}
