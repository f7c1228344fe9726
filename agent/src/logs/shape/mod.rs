//! Bytes of a program to records: the pure half of the logging layer.
//!
//! Owns what a line means: where it ends, which fields it has, what of it nobody may see, and how a
//! record is written and read back. Invariant: the same bytes give the same records wherever they
//! were cut on their way, and no byte is lost: each is in a record or in one that says what it was
//! replaced by. Reads no clock, opens nothing; number and time of a record are the caller's.

mod content;
pub mod datagram;
mod draft;
mod escape;
mod fields;
mod level;
pub mod line;
mod lines;
mod redact;
mod shaper;
mod trace;

pub use draft::{Attributes, Draft, Part, Stream};
pub use redact::{REDACTED, Redactor, TooMany};
pub use shaper::Shaper;

/// Longest line kept in one record, in bytes; a longer one becomes linked parts.
pub const LINE: usize = 64 * 1024;

/// What all streams of an instance are shaped by.
#[derive(Debug, Default)]
pub struct Settings {
    /// What must not be in any record.
    pub secrets: Redactor,
}
