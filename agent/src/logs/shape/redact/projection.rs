//! Text as whoever decodes it will read it, with the way back.
//!
//! Invariant: decoding never fails; what is no escape stays as it is. Each decoded byte knows from
//! which bytes of the text it came.

use std::ops::Range;

/// A decoded text.
pub(super) struct Projection {
    bytes: Vec<u8>,
    /// Where in the text each came from.
    sources: Vec<Range<usize>>,
}

impl Projection {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The part of the text behind a part of what was decoded, which is not empty.
    pub(super) fn source(&self, range: Range<usize>) -> Range<usize> {
        self.sources[range.start].start..self.sources[range.end - 1].end
    }

    /// Decode a text in which `decode` knows at which place which bytes stand, and how many bytes of
    /// the text they take.
    fn new(text: &[u8], decode: impl Fn(&[u8]) -> Option<(Decoded, usize)>) -> Self {
        let mut projection = Projection {
            bytes: Vec::with_capacity(text.len()),
            sources: Vec::with_capacity(text.len()),
        };
        let mut at = 0;
        while at < text.len() {
            let (decoded, length) = decode(&text[at..]).unwrap_or((Decoded::Byte(text[at]), 1));
            let mut buffer = [0; 4];
            let bytes = match decoded {
                Decoded::Byte(byte) => {
                    buffer[0] = byte;
                    &buffer[..1]
                }
                Decoded::Character(c) => c.encode_utf8(&mut buffer).as_bytes(),
            };
            projection.bytes.extend_from_slice(bytes);
            projection.sources.resize(projection.bytes.len(), at..at + length);
            at += length;
        }
        projection
    }

    /// The same of another's text, in that one's own.
    fn over(mut self, inner: &Projection) -> Self {
        for source in &mut self.sources {
            *source = inner.source(source.clone());
        }
        self
    }
}

enum Decoded {
    Byte(u8),
    Character(char),
}

/// Every way in which this text can be read, other than as it is.
pub(super) fn each(text: &[u8], mut read: impl FnMut(&Projection)) {
    let is_escape = |at: usize| percent(&text[at..]).is_some();
    if memchr::memchr_iter(b'%', text).any(is_escape) {
        read(&Projection::new(text, percent));
        // In a form's data a blank is a plus.
        if memchr::memchr(b'+', text).is_some() {
            let form = |text: &[u8]| match text.first() {
                Some(b'+') => Some((Decoded::Byte(b' '), 1)),
                _ => percent(text),
            };
            read(&Projection::new(text, form));
        }
    }
    if memchr::memchr(b'\\', text).is_some() {
        let once = Projection::new(text, backslash);
        read(&once);
        if memchr::memchr(b'\\', &once.bytes).is_some() {
            read(&Projection::new(&once.bytes, backslash).over(&once));
        }
    }
}

fn percent(text: &[u8]) -> Option<(Decoded, usize)> {
    let digits = text.strip_prefix(b"%")?.get(..2)?;
    Some((Decoded::Byte(u8::try_from(hexadecimal(digits)?).ok()?), 3))
}

/// Escapes of JSON, and those of Python, Ruby, Rust and C that mean the same.
fn backslash(text: &[u8]) -> Option<(Decoded, usize)> {
    let rest = text.strip_prefix(b"\\")?;
    let byte = |byte| Some((Decoded::Byte(byte), 2));
    match rest.first()? {
        b'n' => byte(b'\n'),
        b'r' => byte(b'\r'),
        b't' => byte(b'\t'),
        b'b' => byte(8),
        b'f' => byte(12),
        b'0' => byte(0),
        plain @ (b'"' | b'\'' | b'\\' | b'/' | b'`' | b'$' | b' ') => byte(*plain),
        b'x' => Some((Decoded::Byte(u8::try_from(hexadecimal(rest.get(1..3)?)?).ok()?), 4)),
        b'u' if rest.get(1) == Some(&b'{') => {
            let end = rest.iter().take(9).position(|byte| *byte == b'}')?;
            let c = char::from_u32(hexadecimal(rest.get(2..end)?)?)?;
            Some((Decoded::Character(c), 1 + end + 1))
        }
        b'u' => {
            let unit = hexadecimal(rest.get(1..5)?)?;
            match char::from_u32(unit) {
                Some(c) => Some((Decoded::Character(c), 6)),
                None => {
                    let second = rest.get(5..)?.strip_prefix(b"\\u")?;
                    let second = hexadecimal(second.get(..4)?)?;
                    let pair = [u16::try_from(unit).ok()?, u16::try_from(second).ok()?];
                    let c = char::decode_utf16(pair).next()?.ok()?;
                    Some((Decoded::Character(c), 12))
                }
            }
        }
        _ => None,
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    let is_digit = |byte: &u8| byte.is_ascii_hexdigit();
    if digits.is_empty() || !digits.iter().all(is_digit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
