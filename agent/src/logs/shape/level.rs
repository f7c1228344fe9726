//! How bad it is, by the forms in which log lines say so.
//!
//! Invariant: decided by the first 64 bytes of a line, most often by its first word. Only what log
//! formats have in front of their text counts, behind a time, names in brackets and the like: a
//! word within a sentence says nothing.

use manifest_spec::log::Severity;

/// How far into a line its level stands, in bytes.
const SEEN: usize = 64;

/// Most words that are looked at.
const WORDS: usize = 12;

/// Longest word that is a level.
const LONGEST: usize = 13;

/// What a line of text says of itself.
pub(super) fn of_line(line: &[u8]) -> Option<Severity> {
    let start = &line[..line.len().min(SEEN)];
    match start.first()? {
        // sd-daemon(3).
        b'<' => match *start {
            [_, digit @ b'0'..=b'7', b'>', ..] => Some(of_syslog(digit - b'0')),
            _ => None,
        },
        b'I' | b'W' | b'E' | b'F' if is_klog(start) => Some(match start[0] {
            b'I' => Severity::Info,
            b'W' => Severity::Warn,
            b'E' => Severity::Error,
            _ => Severity::Fatal,
        }),
        _ => Words { text: start, at: 0, depth: 0, has_time: false }.find(),
    }
}

/// Severities of syslog (RFC 5424, table 2).
pub(super) fn of_syslog(number: u8) -> Severity {
    match number {
        0..=2 => Severity::Fatal,
        3 => Severity::Error,
        4 => Severity::Warn,
        5 | 6 => Severity::Info,
        _ => Severity::Debug,
    }
}

/// Numbers in the field `level`: tens as pino and bunyan write them, less as syslog does.
pub(super) fn of_number(number: u64) -> Option<Severity> {
    Some(match number {
        0..=7 => of_syslog(number as u8),
        10..=19 => Severity::Trace,
        20..=29 => Severity::Debug,
        30..=39 => Severity::Info,
        40..=49 => Severity::Warn,
        50..=59 => Severity::Error,
        60..=99 => Severity::Fatal,
        _ => return None,
    })
}

/// `E0612 12:34:56.789012`: glog and klog.
fn is_klog(start: &[u8]) -> bool {
    const FORM: &[u8; 14] = b".0000 00:00:00";
    start.len() >= FORM.len()
        && FORM.iter().zip(start).skip(1).all(|(form, byte)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

/// The words in front of a line's text.
struct Words<'a> {
    text: &'a [u8],
    at: usize,
    /// How many brackets are open.
    depth: usize,
    /// Whether a time was seen: what follows may be a zone, a name, a process.
    has_time: bool,
}

impl<'a> Words<'a> {
    fn find(mut self) -> Option<Severity> {
        for _ in 0..WORDS {
            let is_bracketed = self.separators();
            let word = self.word();
            if word.is_empty() {
                return None;
            }
            let found = self.level(word, is_bracketed);
            if found.is_some() {
                return found;
            }
            if !self.may_stand_before(word) {
                return None;
            }
            self.at += word.len();
        }
        None
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// Go over what stands between words; whether it opened a bracket.
    fn separators(&mut self) -> bool {
        let mut is_bracketed = false;
        while let Some(byte) = self.byte(self.at) {
            match byte {
                b'[' | b'(' => {
                    self.depth += 1;
                    is_bracketed = true;
                }
                b']' | b')' => self.depth = self.depth.saturating_sub(1),
                b' ' | b'\t' | b'|' => {}
                b'-' if self.has_time && self.byte(self.at + 1) == Some(b' ') => {}
                // "\x1b[31merror\x1b[0m:" is set off as well as one in brackets.
                0x1b => {
                    self.at = self.color_end();
                    is_bracketed = true;
                }
                _ => return is_bracketed,
            }
            self.at += 1;
        }
        is_bracketed
    }

    /// The last byte of an escape sequence that colors text.
    fn color_end(&self) -> usize {
        let rest = &self.text[self.at..];
        match rest.iter().position(|byte| *byte == b'm') {
            Some(end) if rest.get(1) == Some(&b'[') => self.at + end,
            _ => self.text.len() - 1,
        }
    }

    /// What stands here, up to a blank or a bracket.
    fn word(&self) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let is_end =
            |byte: &u8| matches!(byte, b' ' | b'\t' | b'[' | b']' | b'(' | b')' | b'|' | 0x1b);
        &rest[..rest.iter().position(is_end).unwrap_or(rest.len())]
    }

    fn level(&self, word: &[u8], is_bracketed: bool) -> Option<Severity> {
        let letters =
            word.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(word.len());
        let (own, behind) = word.split_at(letters);
        let next = self.byte(self.at + word.len());
        let is_upper = own.iter().all(u8::is_ascii_uppercase);
        match behind {
            // "ERROR text", "[info ]"; "error: text" and "Error: text" are below.
            b"" if is_upper => named(own),
            b"" if is_bracketed => {
                let rest = self.text[self.at + word.len()..].trim_ascii_start();
                named(own).filter(|_| matches!(rest.first(), Some(b']' | b')' | 0x1b)))
            }
            b":" if self.depth == 0 && matches!(next, None | Some(b' ' | b'\t' | 0x1b)) => {
                named(own)
            }
            // "ERROR:root:text" of Python's logging.
            [b':', ..] if is_upper && !self.has_time => named(own),
            // "core:error]" of httpd, "app.ERROR:" of Monolog.
            [b':', part @ ..] if self.depth > 0 && next == Some(b']') => named(part),
            [.., b':'] if self.has_time => {
                let dot = memchr::memrchr(b'.', word)?;
                let part = &word[dot + 1..word.len() - 1];
                named(part).filter(|_| part.iter().all(u8::is_ascii_uppercase))
            }
            _ => None,
        }
    }

    /// Whether a level can follow this word.
    fn may_stand_before(&mut self, word: &[u8]) -> bool {
        let next = self.byte(self.at + word.len());
        match word[0] {
            _ if self.depth > 0 => {
                self.has_time = true;
                true
            }
            b'0'..=b'9' if self.has_time => true,
            b'0'..=b'9' => {
                self.has_time = word.len() >= 10
                    || word.iter().any(|byte| matches!(byte, b':' | b'-' | b'/' | b'.'));
                self.has_time || word.len() <= 2 && self.at > 0
            }
            b'+' | b'Z' => self.has_time,
            // "E, [time #1] ERROR -- : text" of Ruby's logger.
            b'A'..=b'Z' if word.len() == 2 && word[1] == b',' => true,
            b'A'..=b'Z' if is_date_word(word) => true,
            _ if !self.has_time => false,
            // A zone, or a name as in "time - name - ERROR - text", or "user@database" of
            // PostgreSQL.
            _ => {
                let is_zone = word.len() <= 5 && word.iter().all(u8::is_ascii_uppercase);
                let rest = &self.text[self.at + word.len()..];
                is_zone && next.is_some() || rest.starts_with(b" - ") || word.contains(&b'@')
            }
        }
    }
}

/// `Mon`, `Jan`, with or without a comma.
fn is_date_word(word: &[u8]) -> bool {
    const NAMES: &[u8] = b"MonTueWedThuFriSatSunJanFebMarAprMayJunJulAugSepOctNovDec";
    let word = word.strip_suffix(b",").unwrap_or(word);
    word.len() == 3 && NAMES.chunks(3).any(|name| name == word)
}

fn named(word: &[u8]) -> Option<Severity> {
    if !(3..=LONGEST).contains(&word.len()) {
        return None;
    }
    Severity::named(std::str::from_utf8(word).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn conventional_forms_are_known() {
        use Severity::{Debug, Error, Fatal, Info, Trace, Warn};
        let cases = [
            (Error, "ERROR it failed"),
            (Error, "ERROR"),
            (Warn, "[warn] it may fail"),
            (Warn, "WARNING: it may fail"),
            (Warn, "Warning: it may fail"),
            (Error, "error: it failed"),
            (Fatal, "panic: it failed"),
            (Error, "<3>it failed"),
            (Debug, "<7>"),
            (Error, "E0612 12:34:56.789012   1234 file.go:12] it failed"),
            (Fatal, "F0612 12:34:56.789012   1234 file.go:12] it failed"),
            (Error, "ERROR:root:it failed"),
            (Info, "INFO:     127.0.0.1:5000 - \"GET / HTTP/1.1\" 500"),
            (Error, "2026-01-02 03:04:05,678 - app.web - ERROR - it failed"),
            (Error, "2026-01-02 03:04:05.678 UTC [123] ERROR:  relation is not there"),
            (Fatal, "2026-01-02 03:04:05.678 UTC [123] user@db FATAL:  no"),
            (Error, "2026/01/02 03:04:05 [error] 123#123: *1 it failed"),
            (Error, "2026-01-02T03:04:05.678+01:00 ERROR 123 --- [main] c.e.App : it failed"),
            (Error, "03:04:05.678 [main] ERROR c.e.App - it failed"),
            (Error, "[2026-01-02T03:04:05Z ERROR app] it failed"),
            (Warn, "[2026-01-02 03:04:05 +0000] [123] [WARNING] it may fail"),
            (Error, "[2026-01-02T03:04:05,678][ERROR][o.e.x] it failed"),
            (Error, "[2026-01-02 03:04:05] production.ERROR: it failed"),
            (Error, "2026-01-02 03:04:05 [error    ] it failed"),
            (Error, "2026-01-02 03:04:05.678 | ERROR    | app:run:1 - it failed"),
            (Error, "[Fri Jan 02 03:04:05.678 2026] [core:error] [pid 1] it failed"),
            (Warn, "2026-01-02T03:04:05.678Z 0 [Warning] [MY-010] it may fail"),
            (Warn, "W, [2026-01-02T03:04:05.678 #123]  WARN -- : it may fail"),
            (Warn, "\u{1b}[2m2026-01-02T03:04:05.678Z\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m app: x"),
            (Error, "\u{1b}[31merror\u{1b}[0m: it failed"),
            (Error, "Jan  2 03:04:05 ERROR it failed"),
            (Error, "1767323045.678 ERROR it failed"),
            (Error, "SEVERE: it failed"),
            (Trace, "(trace) it goes on"),
        ];
        for (severity, line) in cases {
            assert_eq!(of_line(line.as_bytes()), Some(severity), "{line}");
        }
    }

    #[test]
    fn what_is_none_of_them_says_nothing() {
        let cases = [
            "",
            "hello",
            "the ERROR page was shown",
            "GET /error: 500",
            "3 ERROR lines",
            "Found ERROR",
            "errors: 5",
            "error in the sentence",
            "Error handling is on",
            "12 errors, 3 warnings",
            "127.0.0.1 - - [02/Jan/2026:03:04:05 +0000] \"GET /ERROR HTTP/1.1\" 200",
            "<8>x",
            "<3",
            "E0612 is a number",
            "ERRORS were found",
            "Listening on [::1]:80 ERROR",
            "2026-01-02 03:04:05 the ERROR page",
            "[main] hello ERROR",
            "\u{1b}[31",
        ];
        for line in cases {
            assert_eq!(of_line(line.as_bytes()), None, "{line}");
        }
        let late = format!("2026-01-02 03:04:05 [{}] ERROR", "x".repeat(64));
        assert_eq!(of_line(late.as_bytes()), None);
    }

    #[test]
    fn numbers_are_those_of_pino_and_syslog() {
        let found = [0, 3, 4, 6, 7, 8, 10, 20, 30, 35, 40, 50, 60, 100].map(of_number);
        use Severity::{Debug, Error, Fatal, Info, Trace, Warn};
        let severities = [Fatal, Error, Warn, Info, Debug].map(Some);
        assert_eq!(found[..5], severities);
        assert_eq!(found[5], None);
        assert_eq!(found[6..13], [Trace, Debug, Info, Info, Warn, Error, Fatal].map(Some));
        assert_eq!(found[13], None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'['), Just(b' '),
                Just(b':'), Just(0x1b), Just(b'E'), Just(b'0')], 0..80),
        ) {
            of_line(&bytes);
        }
    }
}
