//! A log in memory, for tests.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use manifest_spec::log::{LogRecord, Resource};

use super::log::{Entry, Log, Place, Step};
use crate::logs::sink::tests::{record, resource};

/// What the log of a test holds at an index.
#[derive(Debug, Clone)]
pub(crate) enum Line {
    /// A record of this resource.
    Record(Arc<Resource>, Box<LogRecord>),
    /// A record with this number that can't be read any more.
    Damaged,
}

/// A log that grows and is deleted from the front. A clone is the same log, read anew.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeLog {
    pub(crate) lines: Rc<RefCell<Vec<Line>>>,
    /// So many are deleted.
    pub(crate) gone: Rc<RefCell<usize>>,
    at: usize,
}

impl FakeLog {
    /// A log of so many records.
    pub(crate) fn of(count: u64) -> FakeLog {
        let log = FakeLog::default();
        log.grow(count);
        log
    }

    /// So many more records.
    pub(crate) fn grow(&self, count: u64) {
        let resource = Arc::new(resource());
        let first = self.lines.borrow().len() as u64 + 1;
        let records = (first..first + count).map(|seq| {
            Line::Record(Arc::clone(&resource), Box::new(record(seq, &format!("line {seq}"))))
        });
        self.lines.borrow_mut().extend(records);
    }

    /// The same log, read from its beginning.
    pub(crate) fn again(&self) -> FakeLog {
        FakeLog { at: 0, ..self.clone() }
    }
}

impl Log for FakeLog {
    fn seek(&mut self, place: Place) -> io::Result<()> {
        self.at = place.offset as usize;
        Ok(())
    }

    fn seek_seq(&mut self, seq: u64) -> io::Result<()> {
        self.at = seq as usize - 1;
        Ok(())
    }

    fn next(&mut self) -> io::Result<Step> {
        let gone = *self.gone.borrow();
        if self.at < gone {
            let first = self.at as u64 + 1;
            self.at = gone;
            return Ok(Step::Missing { first, last: gone as u64 });
        }
        let lines = self.lines.borrow();
        let Some(line) = lines.get(self.at) else { return Ok(Step::End) };
        let place = Place { segment: 1, offset: self.at as u64, seq: self.at as u64 + 1 };
        self.at += 1;
        Ok(match line {
            Line::Damaged => Step::Damaged { place, lines: 1 },
            Line::Record(resource, record) => Step::Entry(Box::new(Entry {
                place,
                next: Place { segment: 1, offset: self.at as u64, seq: self.at as u64 + 1 },
                resource: Arc::clone(resource),
                record: (**record).clone(),
                text: serde_json::to_vec(&**record).unwrap(),
            })),
        })
    }
}
