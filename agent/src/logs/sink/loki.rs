//! Records as a push to Loki (`POST /loki/api/v1/push`, JSON).
//!
//! One stream for each instance: its labels are those that stay the same, so their number stays
//! small; what differs from record to record is structured metadata. Invariant: pure. Times within
//! a stream strictly rise, whatever the host's clock did, so that Loki takes them in order and never
//! holds two different records for one; the same records after the same time are the same push.

use std::collections::BTreeMap;

use manifest_spec::log::{LogRecord, Resource, attribute};
use serde_json::{Value, json};

use super::journal::entry::text;
use super::line::{Subject, json};
use crate::logs::read::when;

/// Where a push goes, below the address.
pub const PATH: &str = "/loki/api/v1/push";
/// Most fields of a record; Loki takes 128 (`max_structured_metadata_entries_count`).
const FIELDS: usize = 120;
/// Most bytes of all its fields; Loki takes 64 KiB (`max_structured_metadata_size`).
const FIELD_BYTES: usize = 48 * 1024;
/// What stands behind a stream's entries.
pub const END: &[u8] = b"]}]}";

/// The stream of one instance.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    last: u64,
}

impl Stream {
    /// One whose last entry had this time, in nanoseconds since 1970; 0 for a new one.
    pub fn after(last: u64) -> Stream {
        Stream { last }
    }

    /// The time of the last entry.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Append an entry with a comma before it.
    pub fn append(&mut self, subject: &Subject<'_>, out: &mut Vec<u8>) {
        let record = subject.record;
        let own = when::recorded(&record.ts).unwrap_or(0);
        self.last = own.max(self.last.saturating_add(1));
        let moved = (self.last != own).then_some(record.ts.as_str());
        out.extend_from_slice(format!(",[\"{}\",", self.last).as_bytes());
        json(&line(record), out);
        out.push(b',');
        json(&metadata(record, moved), out);
        out.push(b']');
    }
}

/// What stands before a stream's entries: its labels, with the operator's own.
pub fn begin(resource: &Resource, labels: &[(String, String)]) -> Vec<u8> {
    let mut all = json!({
        "app": resource.app,
        "service": resource.service,
        "instance": resource.instance.to_string(),
        "host": resource.host,
    });
    for (name, value) in labels {
        all[name] = value.as_str().into();
    }
    let mut begin = b"{\"streams\":[{\"stream\":".to_vec();
    json(&all, &mut begin);
    begin.extend_from_slice(b",\"values\":[");
    begin
}

/// The line: the body, and the stack trace where there is one, since it has more room there.
fn line(record: &LogRecord) -> std::borrow::Cow<'_, str> {
    let trace = record.attributes.get(attribute::EXCEPTION_STACKTRACE).and_then(Value::as_str);
    match trace {
        Some(trace) if trace.contains(&record.body) => trace.into(),
        Some(trace) => format!("{}\n{trace}", record.body).into(),
        None => record.body.as_str().into(),
    }
}

/// Fields beside a line. `moved` is the record's own time, where the entry has another.
fn metadata(record: &LogRecord, moved: Option<&str>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        ("seq".to_owned(), record.seq.to_string()),
        ("level".to_owned(), record.severity.as_str().to_owned()),
    ]);
    let own = [("trace_id", &record.trace_id), ("span_id", &record.span_id)];
    all.extend(own.iter().filter_map(|(key, id)| Some(((*key).to_owned(), Option::clone(id)?))));
    all.extend(moved.map(|ts| ("ts".to_owned(), ts.to_owned())));
    let mut room = FIELD_BYTES;
    for (key, value) in &record.attributes {
        let (key, value) = (name(key), text(value));
        let size = key.len() + value.len();
        let is_line = key == "exception_stacktrace";
        // Loki would refuse the record for its largest fields; the others say most of it.
        if is_line || all.len() >= FIELDS || size > room {
            continue;
        }
        room -= size;
        all.entry(key).or_insert_with(|| value.into_owned());
    }
    all
}

/// A name of a field as Loki has them: letters, digits and underscores, not a digit first.
fn name(key: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = key.chars().map(allowed).collect();
    match name.chars().next() {
        Some(first) if !first.is_ascii_digit() => name,
        _ => format!("_{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{record, resource};
    use super::*;

    fn push(stream: &mut Stream, records: &[LogRecord]) -> Value {
        let resource = resource();
        let labels = [("team".to_owned(), "a\"b".to_owned())];
        let mut body = begin(&resource, &labels);
        let mut entries = Vec::new();
        for record in records {
            stream.append(&Subject { resource: &resource, record, line: b"" }, &mut entries);
        }
        body.extend_from_slice(&entries[1..]);
        body.extend_from_slice(END);
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_push_is_one_stream_with_few_labels() {
        let mut one = record(1, "GET /");
        one.attributes.insert("http.status".into(), 200.into());
        one.attributes.insert("9lives".into(), serde_json::json!({"a": null}));
        one.trace_id = Some("0af7651916cd43dd8448eb211c80319c".into());
        let push = push(&mut Stream::default(), &[one, record(2, "two")]);
        assert_eq!(
            push,
            serde_json::json!({ "streams": [{
                "stream": {
                    "app": "shop", "service": "web", "instance": "2", "host": "box.example",
                    "team": "a\"b",
                },
                "values": [
                    ["1767323041000000001", "GET /", {
                        "seq": "1", "level": "info", "stream": "stdout", "http_status": "200",
                        "_9lives": "{\"a\":null}",
                        "trace_id": "0af7651916cd43dd8448eb211c80319c",
                    }],
                    ["1767323042000000001", "two", {
                        "seq": "2", "level": "info", "stream": "stdout",
                    }],
                ],
            }] })
        );
    }

    fn times(push: &Value) -> Vec<u64> {
        let values = push["streams"][0]["values"].as_array().unwrap().iter();
        values.map(|value| value[0].as_str().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn times_rise_whatever_the_clock_does() {
        let mut records: Vec<_> = (1..=5).map(|seq| record(seq, "same")).collect();
        for (record, ts) in records.iter_mut().zip([
            "2026-01-02T03:00:00Z",
            "2026-01-02T03:00:00Z",
            "2026-01-02T02:00:00Z",
            "no time",
            "2026-01-02T03:00:01Z",
        ]) {
            record.ts = ts.into();
        }
        let mut stream = Stream::default();
        let whole = push(&mut stream, &records);
        let at = 1_767_322_800_000_000_000;
        assert_eq!(times(&whole), [at, at + 1, at + 2, at + 3, at + 1_000_000_000]);
        assert_eq!(whole["streams"][0]["values"][2][2]["ts"], "2026-01-02T02:00:00Z");
        assert!(whole["streams"][0]["values"][0][2].get("ts").is_none());
        // Sent again from the middle on, after the time that was remembered: the same entries.
        let again = push(&mut Stream::after(at + 1), &records[2..]);
        let entries = |push: &Value| push["streams"][0]["values"].as_array().unwrap().clone();
        assert_eq!(entries(&again), entries(&whole)[2..]);
    }

    #[test]
    fn a_record_with_many_large_fields_is_taken_all_the_same() {
        let mut large = record(1, "KeyError: x");
        large.attributes.insert("a".into(), "x".repeat(FIELD_BYTES).into());
        for number in 0..200 {
            large.attributes.insert(format!("f{number}"), "x".repeat(500).into());
        }
        let trace = "Traceback\n".repeat(9000) + "KeyError: x";
        large.attributes.insert(attribute::EXCEPTION_STACKTRACE.into(), trace.clone().into());
        let push = push(&mut Stream::default(), &[large]);
        let entry = &push["streams"][0]["values"][0];
        assert_eq!(entry[1], trace);
        let fields = entry[2].as_object().unwrap();
        let size: usize =
            fields.iter().map(|(key, value)| key.len() + value.as_str().unwrap().len()).sum();
        assert!(fields.len() <= 128 && size <= 64 * 1024, "{} {size}", fields.len());
        assert!(fields.len() > 80 && !fields.contains_key("a"));
    }
}
