//! Reading logs: the instances of a choice side by side, as far as they pass it, and on as they grow.
//!
//! Owns what somebody who looks at logs gets to see, and in which order: instances are merged by
//! time, and each keeps the order of its numbers. Invariant: every record that is there is told once,
//! however its log is rotated meanwhile, its instance started anew or its version replaced; what is
//! missing is told in its place. Bounded: one record and one block of each instance is in memory, and
//! every call does a piece of work of about the size that it is asked for. Never writes, never waits.
//!
//! | module | owns |
//! | --- | --- |
//! | [`select`] | what is wanted |
//! | [`source`] | one instance's log, a record ahead |
//! | [`when`] | times, as people type them and as records have them |

pub mod select;
mod source;
#[cfg(test)]
mod tests;
pub mod when;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use manifest_spec::api::{LogLine, LogQuery};

use super::segment::{Place, instances};
use select::{Selection, SelectionError};
use source::{Beginning, Head, Source};

/// Logs that are being read.
#[derive(Debug)]
pub struct Reading {
    logs: PathBuf,
    selection: Selection,
    sources: Vec<Source>,
    phase: Phase,
}

/// What is being done.
#[derive(Debug)]
enum Phase {
    /// Looking for the last records that pass: which source they are of, and where in it.
    Counting { most: usize, last: VecDeque<(usize, Place)> },
    /// Telling what passes.
    Telling,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is more to be read at once.
    More,
    /// Everything that is written was read.
    Idle,
}

/// Why logs can't be read.
#[derive(Debug)]
pub enum ReadError {
    /// What is wanted can't be understood.
    Selection(SelectionError),
    /// A folder or a file can't be read.
    Io(PathBuf, io::Error),
}

impl From<SelectionError> for ReadError {
    fn from(error: SelectionError) -> Self {
        ReadError::Selection(error)
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReadError::Selection(error) => error.fmt(f),
            ReadError::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for ReadError {}

impl Reading {
    /// Begin: the logs below this folder that a query is about.
    ///
    /// # Errors
    /// When the query can't be understood, or a log can't be read.
    pub fn open(logs: &Path, query: &LogQuery) -> Result<Reading, ReadError> {
        let selection = Selection::new(query)?;
        let mut reading = Reading {
            logs: logs.to_owned(),
            selection,
            sources: Vec::new(),
            phase: Phase::Telling,
        };
        reading.look_again()?;
        // Without a condition on single records the last of each log are all that can be among them.
        let counts = query.last.filter(|_| reading.selection.takes_every_record());
        let beginning = match (counts, &query.since) {
            (Some(count), _) => Beginning::Last(count),
            (None, Some(since)) => Beginning::Time(since.clone()),
            (None, None) => Beginning::Oldest,
        };
        reading.sources.iter_mut().for_each(|source| source.begins_at(beginning.clone()));
        if let Some(most) = query.last {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            reading.phase = Phase::Counting { most, last: VecDeque::new() };
        }
        Ok(reading)
    }

    /// How many instances' logs it is about so far.
    pub fn instances(&self) -> usize {
        self.sources.len()
    }

    /// When nothing more can come that passes, in nanoseconds since 1970.
    pub fn until(&self) -> Option<u64> {
        self.selection.until()
    }

    /// Take in the logs of instances that were first started since.
    ///
    /// # Errors
    /// When one of them can't be read.
    pub fn look_again(&mut self) -> Result<(), ReadError> {
        for log in instances(&self.logs, self.selection.app()) {
            let known = self.sources.iter().any(|source| source.is_of(&log));
            if !known && self.selection.takes_log(&log) {
                self.sources.push(Source::open(log)?);
            }
        }
        Ok(())
    }

    /// Read about `budget` bytes of records, and tell `take` what passes.
    ///
    /// # Errors
    /// When a log can't be read.
    pub fn step(
        &mut self,
        budget: usize,
        take: &mut dyn FnMut(LogLine),
    ) -> Result<Progress, ReadError> {
        if let Some(source) = self.sources.iter_mut().find(|source| !source.has_begun()) {
            source.begin()?;
            return Ok(Progress::More);
        }
        self.sources.iter_mut().for_each(Source::moisten);
        let mut used = 0;
        while used < budget {
            let Some(index) = self.earliest()? else { return self.ran_dry() };
            let Some(head) = self.sources[index].take() else { continue };
            used += head.cost();
            self.consider(index, head, take);
        }
        Ok(Progress::More)
    }

    /// The source whose next record is the earliest.
    fn earliest(&mut self) -> Result<Option<usize>, ReadError> {
        let mut found: Option<(u64, usize)> = None;
        for (index, source) in self.sources.iter_mut().enumerate() {
            if let Some(time) = source.next_time()?
                && found.is_none_or(|(earliest, _)| time < earliest)
            {
                found = Some((time, index));
            }
        }
        Ok(found.map(|(_, index)| index))
    }

    fn consider(&mut self, index: usize, head: Head, take: &mut dyn FnMut(LogLine)) {
        let Head { lost, entry, .. } = head;
        let passes = entry.as_ref().is_some_and(|entry| self.selection.takes(entry));
        match &mut self.phase {
            Phase::Counting { most, last } => {
                if let Some(entry) = entry.filter(|_| passes && *most > 0) {
                    if last.len() == *most {
                        last.pop_front();
                    }
                    last.push_back((index, entry.place));
                }
            }
            Phase::Telling => {
                if let Some(lost) = lost.filter(|_| !self.selection.is_of_traces()) {
                    take(lost);
                }
                if let Some(entry) = entry.filter(|_| passes) {
                    take(LogLine::new(&entry.resource, entry.record));
                }
            }
        }
    }

    /// Nothing more is there: what was counted is now told.
    fn ran_dry(&mut self) -> Result<Progress, ReadError> {
        let Phase::Counting { last, .. } = std::mem::replace(&mut self.phase, Phase::Telling)
        else {
            return Ok(Progress::Idle);
        };
        for (index, source) in self.sources.iter_mut().enumerate() {
            if let Some((_, place)) = last.iter().find(|(of, _)| *of == index) {
                source.seek(*place)?;
            }
        }
        Ok(Progress::More)
    }
}
