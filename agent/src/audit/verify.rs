//! A whole log, line by line, against its head.
//!
//! Found: any entry that was changed, removed, inserted, moved or exchanged, and entries cut off at
//! the end, as far as the head knows of them. Not found: a log and a head that were both written
//! anew, entries added by somebody who knows the format, and what was cut off together with the
//! head's own rewriting. Whoever may write as hostctl's user can do those; a head that was noted
//! elsewhere shows them, too. Pure.

use std::fmt;

use manifest_spec::api::AuditEntry;

use super::chain::Head;

/// A log that is as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many entries there are.
    pub entries: u64,
    /// The first one.
    pub first: Option<AuditEntry>,
    /// The last one.
    pub last: Option<AuditEntry>,
    /// Entries behind the head: what a crash leaves between writing the log and the head.
    pub beyond: u64,
    /// Bytes of an entry that a crash cut short; the next entry takes their place and says so.
    pub unfinished: u64,
}

/// A log that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The line of the log, from 1; `None` if the head is what is wrong.
    pub line: Option<u64>,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// A line is no entry at all.
    NoEntry,
    /// An entry's hash is not that of its content.
    Changed,
    /// An entry has another number than its place.
    OutOfOrder {
        /// The number that belongs there.
        expected: u64,
        /// Its own.
        found: u64,
    },
    /// An entry follows another one than that before it.
    Exchanged,
    /// The log ends before the head.
    CutOff {
        /// Its last entry, 0 if there is none.
        last: u64,
        /// The head's.
        head: u64,
    },
    /// The entry that the head or somebody else names is another one.
    OtherHead(u64),
    /// The head is gone.
    HeadMissing,
    /// The head's file does not hold one.
    NoHead,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "audit.log:{line}: {}", self.why),
            None => write!(f, "audit.head: {}", self.why),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::NoEntry => f.write_str("it is no entry"),
            Why::Changed => f.write_str("the entry was changed: its hash is another's"),
            Why::OutOfOrder { expected, found } => write!(
                f,
                "entry {expected} is missing here, where {found} is: one was removed, inserted or moved"
            ),
            Why::Exchanged => {
                f.write_str("the entry does not follow the one before it: one was exchanged")
            }
            Why::CutOff { last, head } => write!(
                f,
                "the log ends with entry {last}, and there was an entry {head}: its end was cut off"
            ),
            Why::OtherHead(n) => write!(f, "entry {n} is not the one that was last once"),
            Why::HeadMissing => f.write_str("it is missing: the end of the log can't be told"),
            Why::NoHead => f.write_str("it names no entry"),
        }
    }
}

impl std::error::Error for Broken {}

/// An entry that somebody noted, so that a log written anew shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// Its number.
    pub n: u64,
    /// Its hash.
    pub hash: String,
}

/// A log on its way to being verified.
#[derive(Debug)]
pub struct Verifier {
    head: Option<Head>,
    noted: Option<Noted>,
    end: Head,
    first: Option<AuditEntry>,
    last: Option<AuditEntry>,
}

impl Verifier {
    /// Nothing is read yet. The log must have the entries that its head and somebody else name.
    #[must_use]
    pub fn new(head: Option<Head>, noted: Option<Noted>) -> Self {
        Verifier { head, noted, end: Head::start(), first: None, last: None }
    }

    /// The next line, its break included.
    ///
    /// # Errors
    /// When it is not the next entry, or not the one that was named.
    pub fn line(&mut self, line: &[u8]) -> Result<&AuditEntry, Broken> {
        let number = Some(self.end.n + 1);
        let entry = self.end.follow(line).map_err(|why| Broken { line: number, why })?;
        let end = &self.end;
        let other_head = self.head.as_ref().is_some_and(|head| head.n == end.n && head != end);
        let noted = self.noted.as_ref();
        if other_head || noted.is_some_and(|noted| noted.n == end.n && noted.hash != end.hash) {
            return Err(Broken { line: number, why: Why::OtherHead(end.n) });
        }
        self.first.get_or_insert_with(|| entry.clone());
        Ok(self.last.insert(entry))
    }

    /// That there are no more lines; so many bytes follow the last.
    ///
    /// # Errors
    /// When an entry is known that is not there.
    pub fn finish(self, unfinished: u64) -> Result<Verified, Broken> {
        let last = self.end.n;
        let head = self.head.as_ref().map_or(0, |head| head.n);
        let known = self.noted.map_or(0, |noted| noted.n).max(head);
        if known > last {
            let why = Why::CutOff { last, head: known };
            return Err(Broken { line: Some(last + 1), why });
        }
        // A crash can keep the first entry's head from being written.
        if self.head.is_none() && last > 1 {
            return Err(Broken { line: None, why: Why::HeadMissing });
        }
        let (first, last_entry) = (self.first, self.last);
        Ok(Verified { entries: last, first, last: last_entry, beyond: last - head, unfinished })
    }
}

/// Verify a log that is at hand as a whole.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(log: &[u8], head: Option<&str>) -> Result<Verified, Broken> {
    let mut verifier = Verifier::new(head.map(read_head).transpose()?, None);
    let mut unfinished = 0;
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        match line.ends_with(b"\n") {
            true => {
                verifier.line(line)?;
            }
            false => unfinished = line.len() as u64,
        }
    }
    verifier.finish(unfinished)
}

/// What the head's file says.
///
/// # Errors
/// When it does not hold a head.
pub fn read_head(text: &str) -> Result<Head, Broken> {
    Head::parse(text).ok_or(Broken { line: None, why: Why::NoHead })
}
