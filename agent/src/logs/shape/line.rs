//! One line of a log on disk: a JSON object whose last member seals the rest.
//!
//! Invariant: a line is read only if not one of its bytes was changed since it was written; its last
//! member `"crc":"0123abcd"` is the CRC-32 (IEEE 802.3) of all bytes before `,"crc":`. The object
//! has no line end in it, so one line is one record for every tool. Touches no file.

use manifest_spec::log::{Header, LogRecord};
use serde::Serialize;

/// What stands between the sealed bytes and the digits of their seal.
const BEFORE: &[u8] = b",\"crc\":\"";
/// What ends a line.
const AFTER: &[u8] = b"\"}";
/// Digits of a seal.
const DIGITS: usize = 8;

/// A line that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// What the records after it belong to.
    Header(Header),
    /// A record.
    Record(LogRecord),
}

/// Why a line can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Its seal is not there, or is that of other bytes.
    Seal,
    /// It is as it was written, and means nothing to this version.
    Meaning,
}

/// Append a header as a sealed line.
pub fn header(buffer: &mut Vec<u8>, header: &Header) {
    sealed(buffer, header);
}

/// Append a record as a sealed line.
pub fn record(buffer: &mut Vec<u8>, record: &LogRecord) {
    sealed(buffer, record);
}

fn sealed(buffer: &mut Vec<u8>, value: &impl Serialize) {
    let start = buffer.len();
    // Both hold text, numbers and maps with text keys: all of that is JSON, and a buffer in memory
    // takes it.
    if serde_json::to_writer(&mut *buffer, value).is_err() {
        return buffer.truncate(start);
    }
    buffer.pop(); // the object's end comes after its seal
    seal(buffer, start);
}

/// End the object that begins at `start` and lacks its closing brace.
pub fn seal(buffer: &mut Vec<u8>, start: usize) {
    let digits = digits(crc32fast::hash(&buffer[start..]));
    buffer.extend_from_slice(BEFORE);
    buffer.extend_from_slice(&digits);
    buffer.extend_from_slice(AFTER);
    buffer.push(b'\n');
}

/// Whether a line, without its end, is as it was written.
///
/// # Errors
/// When it is not.
pub fn check(line: &[u8]) -> Result<(), Damage> {
    let rest = line.strip_suffix(AFTER).ok_or(Damage::Seal)?;
    let (rest, seal) = rest.split_last_chunk::<DIGITS>().ok_or(Damage::Seal)?;
    let sealed = rest.strip_suffix(BEFORE).ok_or(Damage::Seal)?;
    // Compared as digits, so that there is one way only to write a seal.
    if *seal == digits(crc32fast::hash(sealed)) { Ok(()) } else { Err(Damage::Seal) }
}

/// Read a line, without its end.
///
/// # Errors
/// When it was changed, or is not of this format.
pub fn read(line: &[u8]) -> Result<Line, Damage> {
    check(line)?;
    let record = serde_json::from_slice(line).map(Line::Record);
    record.or_else(|_| serde_json::from_slice(line).map(Line::Header)).map_err(|_| Damage::Meaning)
}

fn digits(crc: u32) -> [u8; DIGITS] {
    const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|place| HEXADECIMAL[(crc >> (28 - 4 * place)) as usize & 15])
}
