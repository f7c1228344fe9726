//! Bytes to lines to records. Pure but for the clock that [`stamp`] is given.

use manifest_spec::log::{LogRecord, Severity, VERSION};
use serde_json::{Map, Value};

/// Longest line kept in one record; a longer one becomes linked parts.
const LINE: usize = 64 * 1024;

/// A line on its way to becoming a record: all but its number and time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    body: String,
    attributes: Map<String, Value>,
}

impl Draft {
    /// The record, with its place in the order and its time.
    pub(super) fn record(self, seq: u64, since_epoch: std::time::Duration) -> LogRecord {
        LogRecord {
            v: VERSION,
            seq,
            ts: stamp(since_epoch),
            severity: Severity::Info,
            body: self.body,
            attributes: self.attributes,
            trace_id: None,
            span_id: None,
            at: None,
        }
    }
}

/// Cuts a stream into lines.
#[derive(Debug)]
pub(super) struct Lines {
    stream: &'static str,
    held: Vec<u8>,
    part: u32,
}

impl Lines {
    pub(super) fn new(stream: &'static str) -> Self {
        Lines { stream, held: Vec::new(), part: 0 }
    }

    /// Every line that these bytes complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for chunk in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.held.extend_from_slice(chunk);
            if self.held.last() == Some(&b'\n') {
                self.held.pop();
                drafts.push(self.cut(true));
            } else if self.held.len() >= LINE {
                drafts.push(self.cut(false));
            }
        }
        drafts
    }

    /// A last line without an end.
    pub(super) fn end(&mut self) -> Option<Draft> {
        (!self.held.is_empty()).then(|| self.cut(true))
    }

    fn cut(&mut self, last: bool) -> Draft {
        let bytes = std::mem::take(&mut self.held);
        let mut attributes = Map::new();
        attributes.insert("stream".into(), self.stream.into());
        if !last || self.part > 0 {
            attributes.insert("part".into(), self.part.into());
            attributes.insert("last_part".into(), last.into());
            self.part = if last { 0 } else { self.part + 1 };
        }
        let body = String::from_utf8(bytes).unwrap_or_else(|error| {
            // The text is for reading; the attribute keeps every byte.
            let hex = error.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            attributes.insert("bytes_hex".into(), hex.into());
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        });
        Draft { body, attributes }
    }
}

/// RFC 3339 in UTC with microseconds, for a time since 1970.
pub fn stamp(since_epoch: std::time::Duration) -> String {
    let (seconds, micros) = (since_epoch.as_secs(), since_epoch.subsec_micros());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar: years are
/// counted from a March, so that the leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // days from 0000-03-01
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(stamp(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn lines_are_whole_wherever_the_reads_cut_them() {
        let text = b"one\ntwo \xff\n\nthree";
        for cut in 0..text.len() {
            let mut lines = Lines::new("stdout");
            let mut drafts = lines.push(&text[..cut]);
            drafts.extend(lines.push(&text[cut..]));
            drafts.extend(lines.end());
            let bodies: Vec<_> = drafts.iter().map(|draft| draft.body.as_str()).collect();
            assert_eq!(bodies, ["one", "two \u{fffd}", "", "three"]);
            assert_eq!(drafts[1].attributes["bytes_hex"], "74776f20ff");
        }
    }

    #[test]
    fn long_lines_become_linked_parts() {
        let mut lines = Lines::new("stderr");
        let mut drafts = lines.push(&vec![b'x'; LINE]);
        drafts.extend(lines.push(b"y\nz\n"));
        let parts: Vec<_> = drafts.iter().map(|d| d.attributes.get("part").cloned()).collect();
        assert_eq!(parts, [Some(0.into()), Some(1.into()), None]);
        assert_eq!(drafts[1].attributes["last_part"], true);
    }
}
