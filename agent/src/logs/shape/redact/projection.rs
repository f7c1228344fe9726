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

    /// Decode a text in which `way` knows at which place which bytes stand.
    fn new(text: &[u8], way: Way) -> Self {
        let mut projection = Projection {
            bytes: Vec::with_capacity(text.len()),
            sources: Vec::with_capacity(text.len()),
        };
        let mut at = 0;
        while at < text.len() {
            let (decoded, length) = way.decode(&text[at..]).unwrap_or((Decoded::Byte(text[at]), 1));
            decoded.append(&mut projection.bytes);
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

impl Decoded {
    fn append(&self, bytes: &mut Vec<u8>) {
        match self {
            Decoded::Byte(byte) => bytes.push(*byte),
            Decoded::Character(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// A way to read a text.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// `%41` (RFC 3986).
    Percent,
    /// The same, and a plus is a blank: a form's data.
    Form,
    /// Backslashes.
    Quoted,
}

impl Way {
    /// What stands at a text's beginning, and how many bytes it takes there.
    fn decode(self, text: &[u8]) -> Option<(Decoded, usize)> {
        match (self, text.first()?) {
            (Way::Form, b'+') => Some((Decoded::Byte(b' '), 1)),
            (Way::Percent | Way::Form, b'%') => percent(text),
            (Way::Quoted, b'\\') => backslash(text),
            _ => None,
        }
    }

    /// Where the next escape may be.
    fn next(self, text: &[u8]) -> Option<usize> {
        match self {
            Way::Percent => memchr::memchr(b'%', text),
            Way::Form => memchr::memchr2(b'%', b'+', text),
            Way::Quoted => memchr::memchr(b'\\', text),
        }
    }

    /// What a whole text says, without the way back.
    fn read(self, text: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = self.next(rest) {
            bytes.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            let (decoded, length) = self.decode(rest).unwrap_or((Decoded::Byte(rest[0]), 1));
            decoded.append(&mut bytes);
            rest = &rest[length..];
        }
        bytes.extend_from_slice(rest);
        bytes
    }
}

/// The ways in which this text can be read, other than as it is.
fn ways(text: &[u8]) -> impl Iterator<Item = Way> {
    let is_escape = |at: usize| percent(&text[at..]).is_some();
    let has_percent = memchr::memchr_iter(b'%', text).any(is_escape);
    let has_plus = has_percent && memchr::memchr(b'+', text).is_some();
    let has_backslash = memchr::memchr(b'\\', text).is_some();
    [(Way::Percent, has_percent), (Way::Form, has_plus), (Way::Quoted, has_backslash)]
        .into_iter()
        .filter_map(|(way, is_one)| is_one.then_some(way))
}

/// Whether anything is found in the text, read in any of these ways. Much less work than [`each`].
pub(super) fn is_any(text: &[u8], found: impl Fn(&[u8]) -> bool) -> bool {
    ways(text).any(|way| {
        let once = way.read(text);
        let is_twice = matches!(way, Way::Quoted) && memchr::memchr(b'\\', &once).is_some();
        found(&once) || is_twice && found(&way.read(&once))
    })
}

/// Every way in which this text can be read, other than as it is.
pub(super) fn each(text: &[u8], mut read: impl FnMut(&Projection)) {
    for way in ways(text) {
        let once = Projection::new(text, way);
        read(&once);
        if matches!(way, Way::Quoted) && memchr::memchr(b'\\', &once.bytes).is_some() {
            read(&Projection::new(&once.bytes, way).over(&once));
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
