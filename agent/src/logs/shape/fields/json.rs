//! JSON objects (RFC 8259), read without losing anything.
//!
//! Invariant: what is read says what the text says, or there is nothing: not of a member that comes
//! twice, nor of half a surrogate pair, nor of what is nested deeper than [`DEPTH`]. A number that has
//! no exact value here is the text of its digits. The work is linear in the text.

use std::collections::HashSet;

use serde_json::{Map, Number, Value};

/// Most arrays and objects inside each other.
const DEPTH: usize = 32;

/// Members of an object, in order.
pub(super) type Members = Vec<(String, Value)>;

/// The object that a text is, and nothing else.
pub(super) fn object(text: &str) -> Option<Members> {
    let mut reader = Reader::new(text);
    reader.blanks();
    let mut members = Members::new();
    if reader.byte()? != b'{' {
        return None;
    }
    reader.members(1, |name, value| members.push((name, value)))?;
    reader.blanks();
    (reader.at == text.len() && is_each_once(&members)).then_some(members)
}

/// Whether no name comes twice.
pub(super) fn is_each_once(members: &Members) -> bool {
    // Most lines have so few that it is soon seen.
    const FEW: usize = 16;
    if members.len() > FEW {
        let mut seen = HashSet::with_capacity(members.len());
        return members.iter().all(|(name, _)| seen.insert(name));
    }
    let names = members.iter().map(|(name, _)| name).enumerate();
    names.clone().all(|(at, name)| members[..at].iter().all(|(other, _)| other != name))
}

/// The string in quotes with which a text begins, and how long it is there.
pub(super) fn string(text: &str) -> Option<(String, usize)> {
    let mut reader = Reader::new(text);
    let value = reader.string()?;
    Some((value, reader.at))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Reader { text, at: 0 }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn takes(&mut self, what: &str) -> bool {
        let is_next = self.text.as_bytes()[self.at..].starts_with(what.as_bytes());
        if is_next {
            self.at += what.len();
        }
        is_next
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.blanks();
        match self.byte()? {
            b'{' if depth < DEPTH => {
                let mut members = Map::new();
                let mut is_each_once = true;
                self.members(depth + 1, |name, value| {
                    is_each_once &= members.insert(name, value).is_none();
                })?;
                is_each_once.then_some(Value::Object(members))
            }
            b'[' if depth < DEPTH => self.items(depth + 1).map(Value::Array),
            b'"' => self.string().map(Value::String),
            b't' => self.takes("true").then_some(Value::Bool(true)),
            b'f' => self.takes("false").then_some(Value::Bool(false)),
            b'n' => self.takes("null").then_some(Value::Null),
            _ => self.number(),
        }
    }

    fn members(&mut self, depth: usize, mut give: impl FnMut(String, Value)) -> Option<()> {
        self.at += 1;
        self.blanks();
        if self.takes("}") {
            return Some(());
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.blanks();
            if !self.takes(":") {
                return None;
            }
            give(name, self.value(depth)?);
            self.blanks();
            if self.takes("}") {
                return Some(());
            }
            if !self.takes(",") {
                return None;
            }
        }
    }

    fn items(&mut self, depth: usize) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        self.at += 1;
        self.blanks();
        if self.takes("]") {
            return Some(items);
        }
        loop {
            items.push(self.value(depth)?);
            self.blanks();
            if self.takes("]") {
                return Some(items);
            }
            if !self.takes(",") {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        if !self.takes("\"") {
            return None;
        }
        let mut value = String::new();
        loop {
            let rest = &self.text[self.at..];
            let end = memchr::memchr2(b'"', b'\\', rest.as_bytes())?;
            let plain = &rest[..end];
            if plain.bytes().any(|byte| byte < 0x20) {
                return None;
            }
            self.at += end + 1;
            value.push_str(plain);
            if rest.as_bytes()[end] == b'"' {
                return Some(value);
            }
            value.push(self.escape()?);
        }
    }

    /// What stands behind a backslash.
    fn escape(&mut self) -> Option<char> {
        let byte = self.byte()?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let first = self.unit()?;
                match char::from_u32(first.into()) {
                    Some(c) => c,
                    None => {
                        let second = self.takes("\\u").then(|| self.unit())??;
                        char::decode_utf16([first, second]).next()?.ok()?
                    }
                }
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| is_number)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        self.takes("-");
        let first = self.byte()?;
        let whole = self.digits();
        if whole == 0 || first == b'0' && whole > 1 {
            return None;
        }
        let mut is_whole = true;
        if self.takes(".") {
            is_whole = false;
            (self.digits() > 0).then_some(())?;
        }
        if self.takes("e") || self.takes("E") {
            is_whole = false;
            let _sign = self.takes("+") || self.takes("-");
            (self.digits() > 0).then_some(())?;
        }
        let text = &self.text[start..self.at];
        Some(exact(text, is_whole).map_or_else(|| text.into(), Value::Number))
    }
}

/// The number with exactly this value.
fn exact(text: &str, is_whole: bool) -> Option<Number> {
    if is_whole && text != "-0" {
        let positive = text.parse::<u64>().ok().map(Number::from);
        return positive.or_else(|| text.parse::<i64>().ok().map(Number::from));
    }
    // More digits than any value of 64 bits has.
    if text.len() > 32 {
        return None;
    }
    let number = Number::from_f64(text.parse().ok()?)?;
    (decimal(&number.to_string()) == decimal(text)).then_some(number)
}

/// Sign, digits without zeros at either end, and the power of ten behind them.
fn decimal(text: &str) -> (bool, String, i64) {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let power = exponent.parse::<i64>().unwrap_or(i64::MAX / 2) - fraction.len() as i64
        + (digits.len() - significant.len()) as i64;
    let significant = significant.trim_start_matches('0').to_owned();
    let power = if significant.is_empty() { 0 } else { power };
    (sign, significant, power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn member(text: &str) -> Option<Value> {
        Some(object(&format!("{{\"a\":{text}}}"))?.pop()?.1)
    }

    #[test]
    fn numbers_keep_their_value_or_their_digits() {
        for text in
            ["0", "-1", "1.5", "-0", "-0.0", "1e3", "1.50", "0.1", "1700000000.123456", "5e-324"]
        {
            assert!(member(text).unwrap().is_number(), "{text}");
        }
        for text in [
            "18446744073709551616",
            "-9223372036854775809",
            "0.1000000000000000055511151231257827",
            "0.10000000000000001",
            "9007199254740993.5",
            "1e400",
            "1e-400",
            "123456789012345678901234567890",
        ] {
            assert_eq!(member(text), Some(json!(text)));
        }
        assert_eq!(member("18446744073709551615"), Some(json!(u64::MAX)));
        assert_eq!(member("-9223372036854775808"), Some(json!(i64::MIN)));
        for text in ["01", "1.", ".5", "+1", "1e", "-", "NaN", "Infinity", "0x1", "1_000"] {
            assert_eq!(member(text), None, "{text}");
        }
    }

    #[test]
    fn what_would_lose_something_is_not_read() {
        for text in [
            "",
            "{",
            "{}}",
            "[]",
            "1",
            "{\"a\":1,\"a\":1}",
            "{\"a\":{\"b\":1,\"b\":2}}",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\ud800\\u0041\"}",
            "{\"a\":\"\\u+041\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\t\"}",
            "{\"a\":[1,]}",
            "{\"a\":tru}",
            "{\"a\":1} text",
            "{\"a\":\"\\u00e",
        ] {
            assert_eq!(object(text), None, "{text}");
        }
        let many: Vec<_> = (0..100).map(|number| format!("\"{}\":1", number % 99)).collect();
        assert_eq!(object(&format!("{{{}}}", many.join(","))), None);
        assert!(object(&format!("{{{}}}", many[..99].join(","))).is_some());
        let nested = |depth: usize| format!("{}{}", "{\"a\":".repeat(depth), "[".repeat(depth));
        assert_eq!(object(&nested(10_000)), None);
        let deep = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(object(&deep(DEPTH - 1)).is_some() && object(&deep(DEPTH)).is_none());
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "(\\PC|[\\x00-\\x7f]){0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("\\PC{0,4}", inner), 0..4)
                    .prop_map(|members| members.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(value in any_value()) {
            let text = serde_json::to_string_pretty(&json!({ "a": value })).unwrap();
            prop_assert_eq!(object(&text), Some(vec![("a".to_owned(), value)]));
        }

        #[test]
        fn what_is_read_another_reader_reads_the_same(
            text in prop::collection::vec(
                prop::sample::select(vec!["{", "}", "[", "]", "\"", ":", ",", "a", "1", "0", ".",
                    "e", "-", "\\", "u00e9", "\\ud83d", "\\ude00", " ", "true", "null", "\u{e9}"]),
                0..24,
            ).prop_map(|parts| format!("{{\"a\":{}", parts.concat())),
        ) {
            let theirs = serde_json::from_str::<Map<String, Value>>(&text);
            if let Some(own) = object(&text) {
                prop_assert!(theirs.is_ok(), "{text}");
                let own: Map<String, Value> = own.into_iter().collect();
                if !own.values().any(|value| value.is_string()) {
                    prop_assert_eq!(own, theirs.unwrap());
                }
            }
        }
    }
}
