//! A record as an entry of the journal, in its native protocol
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>).
//!
//! Invariant: pure. Whatever a record holds, no field can be taken for another: a value with a line
//! end goes with its length, and names have only what the journal allows in them.

use manifest_spec::log::{Severity, attribute};
use serde_json::Value;

use super::super::line::Subject;

/// Longest name of a field.
const NAME: usize = 64;

/// Fields of the journal's own for attributes (systemd.journal-fields(7)); the names in use for
/// source code are those of OpenTelemetry, of now and before.
const WELL_KNOWN: [(&str, &str); 11] = [
    ("code.file.path", "CODE_FILE"),
    ("code.filepath", "CODE_FILE"),
    ("code.line.number", "CODE_LINE"),
    ("code.lineno", "CODE_LINE"),
    ("code.function.name", "CODE_FUNC"),
    ("code.function", "CODE_FUNC"),
    (attribute::EXCEPTION_TYPE, "EXCEPTION_TYPE"),
    (attribute::EXCEPTION_MESSAGE, "EXCEPTION_MESSAGE"),
    (attribute::EXCEPTION_STACKTRACE, "EXCEPTION_STACKTRACE"),
    (attribute::EXCEPTION_FINGERPRINT, "EXCEPTION_FINGERPRINT"),
    (attribute::EXCEPTION_LANGUAGE, "EXCEPTION_LANGUAGE"),
];

/// Append the record as one message.
pub fn append(subject: &Subject<'_>, out: &mut Vec<u8>) {
    let (resource, record) = (subject.resource, subject.record);
    let bytes = record.attributes.get(attribute::BYTES_HEX).and_then(Value::as_str).and_then(raw);
    field("MESSAGE", bytes.as_deref().unwrap_or(record.body.as_bytes()), out);
    field("PRIORITY", priority(record.severity).to_string().as_bytes(), out);
    field("SYSLOG_IDENTIFIER", resource.app.as_bytes(), out);
    field("HOSTCTL_APP", resource.app.as_bytes(), out);
    field("HOSTCTL_SERVICE", resource.service.as_bytes(), out);
    field("HOSTCTL_INSTANCE", resource.instance.to_string().as_bytes(), out);
    if let Some(version) = resource.version {
        field("HOSTCTL_VERSION", version.to_string().as_bytes(), out);
    }
    field("HOSTCTL_SEQ", record.seq.to_string().as_bytes(), out);
    field("HOSTCTL_TIME", record.ts.as_bytes(), out);
    if let Some(id) = &record.trace_id {
        field("TRACE_ID", id.as_bytes(), out);
    }
    if let Some(id) = &record.span_id {
        field("SPAN_ID", id.as_bytes(), out);
    }
    for (key, value) in &record.attributes {
        if key != attribute::BYTES_HEX {
            field(&name(key), text(value).as_bytes(), out);
        }
    }
}

/// Severity as syslog(3) numbers it.
pub fn priority(severity: Severity) -> u8 {
    match severity {
        Severity::Trace | Severity::Debug => 7,
        Severity::Info => 6,
        Severity::Warn => 4,
        Severity::Error => 3,
        Severity::Fatal => 2,
    }
}

/// A value as text: what is no text by itself as JSON.
pub(in super::super) fn text(value: &Value) -> std::borrow::Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        value => value.to_string().into(),
    }
}

/// The bytes of a line that is not UTF-8.
fn raw(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// The field for an attribute: one of the journal's own, or ours with a prefix that none of the
/// journal's has.
fn name(key: &str) -> String {
    if let Some((_, name)) = WELL_KNOWN.iter().find(|(known, _)| *known == key) {
        return (*name).to_owned();
    }
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    "HOSTCTL_FIELD_".chars().chain(key.chars().map(allowed)).take(NAME).collect()
}

fn field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{record, resource};
    use super::*;

    /// The fields of a message, as the protocol's text says they are read.
    fn fields(mut message: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        while !message.is_empty() {
            let line = message.iter().position(|byte| *byte == b'\n').unwrap();
            let (head, rest) = message.split_at(line);
            if let Some(equals) = head.iter().position(|byte| *byte == b'=') {
                let name = String::from_utf8(head[..equals].to_vec()).unwrap();
                all.push((name, head[equals + 1..].to_vec()));
                message = &rest[1..];
            } else {
                let length = u64::from_le_bytes(rest[1..9].try_into().unwrap()) as usize;
                let name = String::from_utf8(head.to_vec()).unwrap();
                all.push((name, rest[9..9 + length].to_vec()));
                assert_eq!(rest[9 + length], b'\n');
                message = &rest[10 + length..];
            }
        }
        all
    }

    #[test]
    fn an_entry_has_the_records_fields() {
        let mut record = record(9, "one\nPRIORITY=0\n");
        record.severity = Severity::Error;
        record.trace_id = Some("0af7651916cd43dd8448eb211c80319c".into());
        for (key, value) in [
            ("status", Value::from(500)),
            ("exception.type", "KeyError".into()),
            ("exception.stacktrace", "Traceback\n  at x".into()),
            ("code.lineno", 12.into()),
            ("user\n=name", "o=k".into()),
            ("nested", serde_json::json!({"a": [1]})),
        ] {
            record.attributes.insert(key.into(), value);
        }
        let mut message = Vec::new();
        append(&Subject { resource: &resource(), record: &record, line: b"" }, &mut message);
        let fields = fields(&message);
        let said: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
            .collect();
        assert_eq!(
            said,
            [
                "MESSAGE=one\nPRIORITY=0\n",
                "PRIORITY=3",
                "SYSLOG_IDENTIFIER=shop",
                "HOSTCTL_APP=shop",
                "HOSTCTL_SERVICE=web",
                "HOSTCTL_INSTANCE=2",
                "HOSTCTL_VERSION=3",
                "HOSTCTL_SEQ=9",
                "HOSTCTL_TIME=2026-01-02T03:04:09.000000001Z",
                "TRACE_ID=0af7651916cd43dd8448eb211c80319c",
                "HOSTCTL_FIELD_STREAM=stdout",
                "HOSTCTL_FIELD_STATUS=500",
                "EXCEPTION_TYPE=KeyError",
                "EXCEPTION_STACKTRACE=Traceback\n  at x",
                "CODE_LINE=12",
                "HOSTCTL_FIELD_USER__NAME=o=k",
                "HOSTCTL_FIELD_NESTED={\"a\":[1]}",
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_text_arrive_as_they_were() {
        let mut record = record(1, "a\u{fffd}b");
        record.attributes.insert(attribute::BYTES_HEX.into(), "61ff0a62".into());
        let mut message = Vec::new();
        append(&Subject { resource: &resource(), record: &record, line: b"" }, &mut message);
        let fields = fields(&message);
        assert_eq!(fields[0], ("MESSAGE".into(), b"a\xff\nb".to_vec()));
        assert!(fields.iter().all(|(name, _)| !name.contains("BYTES")));
    }

    #[test]
    fn names_are_what_the_journal_allows() {
        for key in ["a", "", "_PID", "ключ", &"long".repeat(40), "a.b-c d"] {
            let name = name(key);
            let fits =
                |byte: u8| byte == b'_' || byte.is_ascii_uppercase() || byte.is_ascii_digit();
            assert!(name.len() <= NAME && name.bytes().all(fits), "{name}");
            assert!(name.starts_with("HOSTCTL_FIELD_"));
        }
    }
}
