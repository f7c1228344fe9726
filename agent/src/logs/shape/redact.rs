//! Secrets are kept out of records.
//!
//! Owns the search for all secrets at once, as they are and as they look in URLs (percent-encoding,
//! RFC 3986), in quoted strings (backslash escapes of JSON and its like, also twice over) and in
//! base64 (RFC 4648, at any place of what was encoded, either alphabet). Invariant: no record has a
//! secret in any of these forms; what is replaced is replaced whole, by [`REDACTED`]. A secret of
//! several lines is looked for line by line as well, a long one piece by piece.

mod forms;
mod projection;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use serde_json::Value;

use self::forms::Encoded;
use super::LINE;

/// What stands in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// How much longer a needle can get by escapes: `\\u0041` for one byte, quoted twice.
const GROWTH: usize = 8;

/// Most bytes of all needles: their automata take some twenty times as much.
const MOST: usize = 256 * 1024;

/// Secrets, looked for all at once.
#[derive(Default)]
pub struct Redactor {
    search: Option<Search>,
}

struct Search {
    /// Says soon whether there is any.
    quick: AhoCorasick,
    /// Finds every one, those inside others too.
    all: AhoCorasick,
    longest: usize,
}

impl std::fmt::Debug for Redactor {
    /// Shows none of them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let needles = self.search.as_ref().map_or(0, |search| search.all.patterns_len());
        write!(f, "Redactor({needles} needles)")
    }
}

/// More secrets than can be looked for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl std::fmt::Display for TooMany {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("there are more secrets than can be looked for at once")
    }
}

impl std::error::Error for TooMany {}

impl Redactor {
    /// One for these secrets; empty ones are none.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, TooMany> {
        let needles = needles(&secrets.into_iter().collect::<Vec<_>>())?;
        let Some(longest) = needles.iter().map(Vec::len).max() else { return Ok(Self::default()) };
        let search = |kind| {
            // A table of all states would be faster without a prefilter and take megabytes.
            let mut builder = AhoCorasick::builder();
            builder.kind(Some(AhoCorasickKind::ContiguousNFA)).match_kind(kind);
            builder.build(&needles).map_err(|_| TooMany)
        };
        let (quick, all) = (search(MatchKind::LeftmostFirst)?, search(MatchKind::Standard)?);
        Ok(Redactor { search: Some(Search { quick, all, longest: longest * GROWTH }) })
    }

    /// Whether there can be one for these secrets. Much less work than to make it.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn check<S: AsRef<str>>(secrets: &[S]) -> Result<(), TooMany> {
        needles(secrets).map(|_| ())
    }

    /// How many bytes a secret can take, in any form it is known in.
    pub(super) fn longest(&self) -> usize {
        self.search.as_ref().map_or(0, |search| search.longest)
    }

    /// The last place up to `cut` where these bytes can be cut without tearing a secret apart. They
    /// need not reach further than [`Redactor::longest`] behind it.
    pub(super) fn cut(&self, bytes: &[u8], cut: usize) -> usize {
        let Some(search) = &self.search else { return cut };
        let seen = &bytes[..bytes.len().min(cut + search.longest)];
        let ranges = search.ranges(seen);
        let mut place = cut;
        while let Some(start) = ranges
            .iter()
            .filter(|range| range.start < place && place < range.end)
            .map(|range| range.start)
            .min()
        {
            place = start;
        }
        // Secrets that overlap for half a part could be cut nowhere: then one is, where it overlaps.
        if place < LINE / 2 { cut } else { place }
    }

    /// The bytes without secrets.
    pub(super) fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(search) = &self.search else { return Cow::Borrowed(bytes) };
        if search.is_clean(bytes) {
            return Cow::Borrowed(bytes);
        }
        let mut ranges = search.ranges(bytes);
        ranges.sort_unstable_by_key(|range| range.start);
        let (mut clean, mut at) = (Vec::with_capacity(bytes.len()), 0);
        for range in ranges {
            // One that begins inside another, or right behind it, only makes that longer.
            if range.start > at || at == 0 {
                clean.extend_from_slice(&bytes[at..range.start]);
                clean.extend_from_slice(REDACTED.as_bytes());
            }
            at = at.max(range.end);
        }
        clean.extend_from_slice(&bytes[at..]);
        Cow::Owned(clean)
    }

    /// The text without secrets.
    pub(super) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Needles are text, so no character was torn.
            Cow::Owned(clean) => Cow::Owned(String::from_utf8_lossy(&clean).into_owned()),
        }
    }

    /// Take them out of a value, its keys and numbers included.
    pub(super) fn value(&self, value: &mut Value) {
        if self.search.is_none() {
            return;
        }
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => {
                if let Cow::Owned(clean) = self.text(&number.to_string()) {
                    *value = Value::String(clean);
                }
            }
            Value::String(text) => {
                if let Cow::Owned(clean) = self.text(text) {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => {
                members.values_mut().for_each(|member| self.value(member));
                if members.keys().any(|key| matches!(self.text(key), Cow::Owned(_))) {
                    let dirty = std::mem::take(members);
                    members.extend(
                        dirty.into_iter().map(|(key, one)| (self.text(&key).into_owned(), one)),
                    );
                }
            }
        }
    }
}

/// What is looked for: all forms of all, or where that is too much not those of long ones in base64.
fn needles<S: AsRef<str>>(secrets: &[S]) -> Result<Vec<Vec<u8>>, TooMany> {
    let all =
        [Encoded::All, Encoded::Short].map(|encoded| move || forms::needles(secrets, encoded));
    let fits = |needles: &Vec<Vec<u8>>| needles.iter().map(Vec::len).sum::<usize>() <= MOST;
    all.into_iter().map(|make| make()).find(fits).ok_or(TooMany)
}

impl Search {
    /// Whether there is none.
    fn is_clean(&self, bytes: &[u8]) -> bool {
        let is_found = |bytes: &[u8]| self.quick.is_match(bytes);
        let has_escapes = memchr::memchr2(b'%', b'\\', bytes).is_some();
        !(is_found(bytes) || has_escapes && projection::is_any(bytes, is_found))
    }

    /// Where secrets are, in no order; some inside others.
    fn ranges(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut ranges = self.plain(bytes);
        projection::each(bytes, |text| {
            ranges.extend(self.plain(text.bytes()).into_iter().map(|range| text.source(range)));
        });
        ranges
    }

    fn plain(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        if !self.quick.is_match(bytes) {
            return Vec::new();
        }
        self.all.find_overlapping_iter(bytes).map(|found| found.range()).collect()
    }
}
