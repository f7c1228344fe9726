//! Records of one stream on their way into the log, as lines.
//!
//! Invariant: bounded: whoever fills a batch empties it when it says that it is full.

use crate::logs::shape::{Draft, line};

/// Full from this size on, in bytes: what a processor has near it.
const FULL: usize = 128 * 1024;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Sealed lines.
    pub(super) lines: Vec<u8>,
    /// How many they are.
    pub(super) records: u64,
    /// How many bytes of the stream are in records with the last that was added since the beginning.
    pub(super) end: Option<u64>,
    /// Within a line that is too long for one record: the number of its next part.
    pub(super) part: Option<u32>,
    first: u64,
    time: String,
}

impl Batch {
    /// Empty it; what comes next is numbered from `first` on, and was read at this time.
    pub(super) fn begin(&mut self, first: u64, time: &str) {
        self.again(first);
        self.end = None;
        self.time.clear();
        self.time.push_str(time);
    }

    /// Empty it of what was written, and go on.
    pub(super) fn again(&mut self, first: u64) {
        self.lines.clear();
        // One long record is no reason to keep that much.
        self.lines.shrink_to(2 * FULL);
        (self.records, self.first) = (0, first);
    }

    /// Add one.
    pub(super) fn add(&mut self, draft: &Draft<'_>) {
        line::append(&mut self.lines, self.first + self.records, &self.time, draft);
        self.records += 1;
        self.end = Some(draft.end);
        let part = draft.attributes.part.filter(|part| !part.last);
        self.part = part.map(|part| part.number.saturating_add(1));
    }

    /// Whether it is to be emptied.
    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= FULL
    }
}
