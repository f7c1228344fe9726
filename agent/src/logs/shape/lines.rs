//! A stream of bytes, cut into lines and the parts of long ones.
//!
//! Invariant: pieces are the same wherever the stream was cut on its way; nothing is copied of a
//! line that came whole. Holds at most one piece and what decides where it ends.

use super::LINE;
use super::draft::Part;
use super::redact::Redactor;

/// Longest character of UTF-8, in bytes.
const CHARACTER: usize = 4;

/// A line without its end, or a part of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) part: Option<Part>,
    /// Offset in the stream of what follows it.
    pub(super) end: u64,
    /// Known to be part of something dull, see [`Lines::push`].
    pub(super) is_dull: bool,
}

/// Where a stream is.
#[derive(Debug)]
pub(super) struct Lines {
    /// Offset of the first byte that is in no piece yet.
    at: u64,
    /// Bytes from there on.
    held: Vec<u8>,
    /// Number of the next part, within a line that was too long.
    part: Option<u32>,
}

impl Lines {
    /// The stream from an offset on; within a line of which `part` parts are known.
    pub(super) fn new(at: u64, part: Option<u32>) -> Self {
        Lines { at, held: Vec::new(), part }
    }

    /// Cut what these bytes complete. Whether they are dull is the caller's to know: pieces that are
    /// all of these bytes say so.
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        is_dull: bool,
        secrets: &Redactor,
        mut give: impl FnMut(Piece<'_>),
    ) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.held.is_empty() {
                self.line(line, true, is_dull, secrets, &mut give);
            } else {
                self.hold(line, secrets, &mut give);
                let held = std::mem::take(&mut self.held);
                self.line(&held, true, false, secrets, &mut give);
                self.held = held;
                self.held.clear();
            }
        }
        self.hold(bytes, secrets, &mut give);
    }

    /// The stream's end: a last line may have none.
    pub(super) fn end(&mut self, secrets: &Redactor, mut give: impl FnMut(Piece<'_>)) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() || self.part.is_some() {
            self.line(&held, false, false, secrets, &mut give);
        }
    }

    /// Keep the beginning of a line, and cut off of it what is certain to be a part.
    fn hold(&mut self, mut bytes: &[u8], secrets: &Redactor, give: &mut impl FnMut(Piece<'_>)) {
        let most = LINE + CHARACTER + secrets.longest();
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(most - self.held.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            if self.held.len() == most {
                let mut held = std::mem::take(&mut self.held);
                let cut = self.part(&held, secrets, give);
                held.drain(..cut);
                self.held = held;
            }
        }
    }

    /// A line all of whose bytes are here.
    fn line(
        &mut self,
        mut bytes: &[u8],
        ended: bool,
        is_dull: bool,
        secrets: &Redactor,
        give: &mut impl FnMut(Piece<'_>),
    ) {
        while bytes.len() > LINE {
            let cut = self.part(bytes, secrets, give);
            bytes = &bytes[cut..];
        }
        self.at += bytes.len() as u64 + u64::from(ended);
        let part = self.part.take().map(|number| Part { number, last: true });
        give(Piece { bytes, part, end: self.at, is_dull });
    }

    /// The first part of a line that is too long; how long it is.
    fn part(
        &mut self,
        bytes: &[u8],
        secrets: &Redactor,
        give: &mut impl FnMut(Piece<'_>),
    ) -> usize {
        let cut = secrets.cut(bytes, boundary(bytes, LINE));
        let number = self.part.unwrap_or(0);
        self.part = Some(number.saturating_add(1));
        self.at += cut as u64;
        let part = Some(Part { number, last: false });
        give(Piece { bytes: &bytes[..cut], part, end: self.at, is_dull: false });
        cut
    }
}

/// The last place up to `cut` that is not inside a character.
pub(super) fn boundary(bytes: &[u8], cut: usize) -> usize {
    let is_inside = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let least = cut.saturating_sub(CHARACTER - 1);
    (least..=cut).rev().find(|at| !is_inside(at)).unwrap_or(cut)
}
