//! Messages of syslog.
//!
//! Invariant: the body is the end of the datagram, from the first thing on that was not understood.

use std::borrow::Cow;

use manifest_spec::log::attribute;
use serde_json::{Map, Value};

use super::{Message, insert};

/// Longest tag; RFC 3164 has 32, programs are named as they like.
const TAG: usize = 64;

/// What a datagram says: `<PRI>` and then a message of either RFC.
pub(super) fn read(bytes: &[u8]) -> Message<'_> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut message = Message::default();
    let Some((priority, rest)) = priority(bytes) else { return Message::plain(bytes) };
    message.set_facility(priority >> 3);
    message.set_severity(priority & 7);
    let body = match rest.strip_prefix(b"1 ").and_then(|rest| modern(rest, &mut message)) {
        Some(body) => body,
        None => classic(rest, &mut message),
    };
    message.body = Cow::Borrowed(body);
    message
}

/// `<0>` to `<191>`.
fn priority(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let rest = bytes.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|byte| *byte == b'>')?;
    let number = digits(&rest[..end])?;
    (number < 192).then_some((number, &rest[end + 1..]))
}

fn digits(bytes: &[u8]) -> Option<usize> {
    let is_number = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(bytes).ok().filter(|_| is_number)?.parse().ok()
}

/// Printable text up to the next blank, which is left out, or to the end.
fn word(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = memchr::memchr(b' ', bytes).unwrap_or(bytes.len());
    let word = &bytes[..end];
    let is_printable = !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
    let word = std::str::from_utf8(word).ok().filter(|_| is_printable)?;
    Some((word, bytes.get(end + 1..).unwrap_or_default()))
}

/// RFC 5424, from the timestamp on.
fn modern<'a>(bytes: &'a [u8], message: &mut Message<'_>) -> Option<&'a [u8]> {
    let mut rest = bytes;
    let mut found = Vec::with_capacity(5);
    for name in [
        attribute::SYSLOG_TIMESTAMP,
        attribute::SYSLOG_HOSTNAME,
        attribute::SYSLOG_APPNAME,
        attribute::SYSLOG_PROCID,
        attribute::SYSLOG_MSGID,
    ] {
        let (value, behind) = word(rest)?;
        rest = behind;
        if name == attribute::SYSLOG_TIMESTAMP && value != "-" && !is_rfc_3339(value) {
            return None;
        }
        found.push((name, value));
    }
    for (name, value) in found.into_iter().filter(|(_, value)| *value != "-") {
        message.add(name, value);
    }
    let behind = match rest.strip_prefix(b"-") {
        Some(behind) => Some(behind),
        None => structured(rest).map(|(data, behind)| {
            message.add(attribute::SYSLOG_DATA, data);
            behind
        }),
    };
    // What is neither none nor well-formed is left to the body with all behind it.
    let Some(behind) = behind.filter(|behind| behind.first().is_none_or(|byte| *byte == b' '))
    else {
        message.attributes.shift_remove(attribute::SYSLOG_DATA);
        return Some(rest);
    };
    let body = behind.get(1..).unwrap_or_default();
    Some(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
}

/// Structured data: `[id name="value" …]…`, as one object for each id.
fn structured(mut bytes: &[u8]) -> Option<(Value, &[u8])> {
    let mut elements = Map::new();
    while let Some(rest) = bytes.strip_prefix(b"[") {
        let (id, mut rest) = name(rest)?;
        let mut values = Map::new();
        loop {
            rest = match rest.split_first()? {
                (b']', behind) => {
                    bytes = behind;
                    break;
                }
                (b' ', rest) => {
                    let (key, rest) = name(rest)?;
                    let (value, rest) = value(rest.strip_prefix(b"=\"")?)?;
                    insert(&mut values, key, value.into());
                    rest
                }
                _ => return None,
            };
        }
        insert(&mut elements, id, Value::Object(values));
    }
    (!elements.is_empty()).then_some((Value::Object(elements), bytes))
}

/// SD-NAME.
fn name(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let is_inside = |byte: &u8| byte.is_ascii_graphic() && !b"=]\"".contains(byte);
    let end = bytes.iter().position(|byte| !is_inside(byte))?;
    let (name, rest) = bytes.split_at(end);
    Some((std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?, rest))
}

/// PARAM-VALUE and its closing quote: a backslash is one but before `"`, `\` and `]`.
fn value(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut value = Vec::new();
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            b'"' => break,
            b']' => return None,
            b'\\' if bytes.get(at + 1).is_some_and(|byte| b"\"\\]".contains(byte)) => {
                value.push(bytes[at + 1]);
                at += 2;
            }
            byte => {
                value.push(byte);
                at += 1;
            }
        }
    }
    Some((String::from_utf8(value).ok()?, &bytes[at + 1..]))
}

/// RFC 3164 as clients send it to a socket of their own host: `Jan  2 03:04:05 tag[pid]: text`.
/// Some leave out the time; then `word: text` is text, for it is what people write.
fn classic<'a>(bytes: &'a [u8], message: &mut Message<'_>) -> &'a [u8] {
    let (time, rest) = match timestamp(bytes) {
        Some((time, rest)) => (Some(time), rest),
        None => (None, bytes),
    };
    if let Some(time) = time {
        message.add(attribute::SYSLOG_TIMESTAMP, time);
    }
    match tag(rest) {
        Some((name, process, body)) if time.is_some() || process.is_some() => {
            message.add(attribute::SYSLOG_APPNAME, name);
            if let Some(process) = process {
                message.add(attribute::SYSLOG_PROCID, process);
            }
            body
        }
        _ => rest,
    }
}

/// `Jan  2 03:04:05 `, or one of RFC 3339.
fn timestamp(bytes: &[u8]) -> Option<(&str, &[u8])> {
    if let Some((time, rest)) = word(bytes).filter(|(time, _)| is_rfc_3339(time)) {
        return Some((time, rest));
    }
    let (time, rest) = bytes.split_at_checked(16)?;
    let at = |place: usize| time[place];
    let is_time = time[..3].iter().all(u8::is_ascii_alphabetic)
        && (at(3), at(6), at(9), at(12), at(15)) == (b' ', b' ', b':', b':', b' ')
        && [at(5), at(7), at(8), at(10), at(11), at(13), at(14)].iter().all(u8::is_ascii_digit)
        && (at(4) == b' ' || at(4).is_ascii_digit());
    let time = std::str::from_utf8(&time[..15]).ok()?;
    is_time.then_some((time, rest))
}

fn is_rfc_3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has = |(at, byte): (usize, u8)| bytes[at] == byte;
    bytes.len() >= 19
        && [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')].into_iter().all(has)
        && digits(&bytes[..4]).is_some()
}

/// `name: ` or `name[process]: `; who, which process, and what is behind it.
fn tag(bytes: &[u8]) -> Option<(&str, Option<&str>, &[u8])> {
    let is_inside = |byte: &u8| byte.is_ascii_graphic() && !b":[]<>\"'(){}".contains(byte);
    let end = bytes.iter().take(TAG + 1).position(|byte| !is_inside(byte))?;
    let (name, rest) = bytes.split_at(end);
    let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
    let (process, rest) = match rest.strip_prefix(b"[") {
        None => (None, rest),
        Some(rest) => {
            let end = rest.iter().take(TAG).position(|byte| *byte == b']')?;
            let process = &rest[..end];
            let is_one = !process.is_empty() && process.iter().all(u8::is_ascii_graphic);
            (Some(std::str::from_utf8(process).ok().filter(|_| is_one)?), &rest[end + 1..])
        }
    };
    let body = rest.strip_prefix(b":")?;
    Some((name, process, body.strip_prefix(b" ").unwrap_or(body)))
}
