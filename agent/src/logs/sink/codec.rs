//! How each kind of sink has its records written.
//!
//! Invariant: pure; the same records after the same [`Codec::mark`] are the same bytes.

use super::line::{self, Subject};
use super::{journal, loki, otlp, syslog};

/// A way to write records, one after the other.
#[derive(Debug, Clone)]
pub enum Codec {
    /// A line each.
    Lines,
    /// A line each that also says whose it is.
    NamedLines,
    /// A message of the journal's protocol each.
    Journal,
    /// A message of syslog each.
    Syslog(syslog::Framing),
    /// An entry of a stream each.
    Loki(loki::Stream),
    /// A record of OTLP each.
    Otlp,
}

impl Codec {
    /// Append a record.
    pub fn append(&mut self, subject: &Subject<'_>, out: &mut Vec<u8>) {
        match self {
            Codec::Lines => line::append(subject, out),
            Codec::NamedLines => line::append_named(subject, out),
            Codec::Journal => journal::entry::append(subject, out),
            Codec::Syslog(framing) => framing.append(subject, out),
            Codec::Loki(stream) => stream.append(subject, out),
            Codec::Otlp => otlp::append(subject, out),
        }
    }

    /// What it must know to go on: nothing but the time of a stream's last entry.
    pub fn mark(&self) -> u64 {
        match self {
            Codec::Loki(stream) => stream.last(),
            _ => 0,
        }
    }

    /// Go on behind what had this mark.
    pub fn resume(&mut self, mark: u64) {
        if let Codec::Loki(stream) = self {
            *stream = loki::Stream::after(mark);
        }
    }
}
