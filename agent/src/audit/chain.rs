//! What follows what: sealing an entry, and checking that a line is the next one.
//!
//! Invariant: a line that [`Head::follow`] takes is byte for byte one that [`seal`] made after the
//! same head. Pure.

use std::fmt::Write;

use manifest_spec::api::AuditEntry;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::verify::Why;

/// Longest line, its break included. What is longer loses its parameters before it is written.
pub const LINE_BYTES: usize = 64 << 10;

/// What stands between an entry's content and its hash.
const SEAM: &str = ",\"hash\":\"";

/// What stands behind its hash.
const END: &str = "\"}\n";

/// Hexadecimal digits of a hash.
const DIGITS: usize = 64;

/// The end of a log: what the next entry follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Number of the last entry, 0 before the first.
    pub n: u64,
    /// Length of the log up to its end, in bytes.
    pub bytes: u64,
    /// Its hash.
    pub hash: String,
}

impl Head {
    /// Before the first entry.
    #[must_use]
    pub fn start() -> Self {
        Head { n: 0, bytes: 0, hash: "0".repeat(DIGITS) }
    }

    /// The head's file: one line of JSON.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{{\"n\":{},\"bytes\":{},\"hash\":\"{}\"}}\n", self.n, self.bytes, self.hash)
    }

    /// What the file says, if that is byte for byte what [`Head::text`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let head: Head = serde_json::from_str(text).ok()?;
        // No entry has the number 0, so nothing else would be held against such a head.
        let is_start = head == Head::start();
        (head.text() == text && (head.n > 0 || is_start)).then_some(head)
    }

    /// Take a line, its break included, as the next entry.
    ///
    /// # Errors
    /// Why it is not.
    pub fn follow(&mut self, line: &[u8]) -> Result<AuditEntry, Why> {
        let (content, hash) = split(line).ok_or(Why::NoEntry)?;
        if digest(content) != hash {
            return Err(Why::Changed);
        }
        let entry: AuditEntry =
            serde_json::from_slice(&line[..line.len() - 1]).map_err(|_| Why::NoEntry)?;
        if entry.n != self.n + 1 {
            return Err(Why::OutOfOrder { expected: self.n + 1, found: entry.n });
        }
        if entry.previous != self.hash {
            return Err(Why::Exchanged);
        }
        self.n = entry.n;
        self.bytes += line.len() as u64;
        entry.hash.clone_into(&mut self.hash);
        Ok(entry)
    }
}

/// An entry as its line, with its hash in place of whatever it holds as one. Parameters that would
/// make it too long are left out, and their length is said instead.
pub fn seal(mut entry: AuditEntry) -> (AuditEntry, String) {
    let mut content = content(&mut entry);
    if content.len() + SEAM.len() + DIGITS + END.len() > LINE_BYTES {
        let length = entry.parameters.to_string().len();
        entry.parameters = serde_json::json!({ "left_out_bytes": length });
        entry.reason = entry.reason.map(|text| text.chars().take(1024).collect());
        content = self::content(&mut entry);
    }
    entry.hash = digest(content.as_bytes());
    let line = format!("{content}{SEAM}{}{END}", entry.hash);
    (entry, line)
}

/// Its JSON up to the seam.
fn content(entry: &mut AuditEntry) -> String {
    entry.hash.clear();
    let mut text = serde_json::to_string(entry).expect("an entry has no key that is no text");
    text.truncate(text.len() - SEAM.len() - END.trim_end().len());
    text
}

/// A line's content and its hash.
fn split(line: &[u8]) -> Option<(&[u8], &str)> {
    let rest = line.strip_suffix(END.as_bytes())?;
    let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    Some((rest.strip_suffix(SEAM.as_bytes())?, std::str::from_utf8(hash).ok()?))
}

/// The hash of an entry with this content.
fn digest(content: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(content);
    hash.update(b"}");
    hash.finalize().iter().fold(String::with_capacity(DIGITS), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
