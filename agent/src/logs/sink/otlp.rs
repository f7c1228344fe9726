//! Records as an export of OpenTelemetry logs: OTLP over HTTP with JSON
//! (OTLP 1.0, `POST /v1/logs`; opentelemetry-proto's `logs/v1`).
//!
//! Invariant: pure. 64-bit numbers are strings and ids hexadecimal, as OTLP's JSON has them; a number
//! that no field of OTLP can hold is written as text, so nothing changes its value on the way.

use manifest_spec::log::{LogRecord, Resource, Severity, attribute};
use manifest_spec::manifest::SINGLE_SERVICE;
use serde_json::{Map, Value, json};

use super::line::{Subject, json};
use crate::logs::read::when;

/// Where an export goes, below the address.
pub const PATH: &str = "/v1/logs";
/// What stands behind the records.
pub const END: &[u8] = b"]}]}]}";

/// What stands before the records of a resource. Its attributes are those of OpenTelemetry's
/// semantic conventions as far as there are any.
pub fn begin(resource: &Resource) -> Vec<u8> {
    // A short manifest names no service; what has one name only is known by it.
    let service = match resource.service.as_str() {
        SINGLE_SERVICE => &resource.app,
        service => service,
    };
    let mut attributes = vec![
        attribute("service.namespace", &resource.app.as_str().into()),
        attribute("service.name", &service.into()),
        attribute("service.instance.id", &instance(resource).into()),
        attribute("host.name", &resource.host.as_str().into()),
        attribute("hostctl.service", &resource.service.as_str().into()),
        attribute("hostctl.instance", &resource.instance.into()),
        attribute("hostctl.boot_id", &resource.boot_id.as_str().into()),
        attribute("hostctl.started", &resource.started.as_str().into()),
    ];
    if let Some(version) = resource.version {
        attributes.push(attribute("service.version", &version.to_string().into()));
    }
    let mut begin = b"{\"resourceLogs\":[{\"resource\":{\"attributes\":".to_vec();
    json(&attributes, &mut begin);
    begin.extend_from_slice(b"},\"scopeLogs\":[{\"scope\":{\"name\":\"hostctl\"},\"logRecords\":[");
    begin
}

/// Append a record with a comma before it.
pub fn append(subject: &Subject<'_>, out: &mut Vec<u8>) {
    let record = subject.record;
    let time = when::recorded(&record.ts).unwrap_or(0).to_string();
    let (number, text) = severity(record.severity);
    let mut attributes = vec![
        // What has the same may be dropped as a duplicate, which is what it is.
        attribute("log.record.uid", &uid(subject).into()),
        attribute("hostctl.seq", &record.seq.into()),
    ];
    attributes.extend(record.attributes.iter().map(own_attribute));
    let mut one = json!({
        "timeUnixNano": time,
        "observedTimeUnixNano": time,
        "severityNumber": number,
        "severityText": text,
        "body": { "stringValue": record.body },
        "attributes": attributes,
    });
    ids(record, &mut one);
    out.push(b',');
    json(&one, out);
}

/// How many records an answer says were thrown away, and why (`ExportLogsPartialSuccess`).
pub fn rejected(answer: &[u8]) -> Option<(u64, String)> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let partial = answer.get("partialSuccess").or_else(|| answer.get("partial_success"))?;
    let count = partial.get("rejectedLogRecords").or_else(|| partial.get("rejected_log_records"));
    let count = count.and_then(|count| match count {
        Value::String(text) => text.parse().ok(),
        count => count.as_u64(),
    });
    let said = partial.get("errorMessage").or_else(|| partial.get("error_message"));
    let said = said.and_then(Value::as_str).unwrap_or_default();
    Some((count.unwrap_or(0), said.to_owned())).filter(|(count, _)| *count > 0)
}

fn ids(record: &LogRecord, one: &mut Value) {
    if let Some(id) = record.trace_id.as_ref().filter(|id| is_hex(id, 32)) {
        one["traceId"] = id.as_str().into();
    }
    if let Some(id) = record.span_id.as_ref().filter(|id| is_hex(id, 16)) {
        one["spanId"] = id.as_str().into();
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name of the instance that no other has.
fn instance(resource: &Resource) -> String {
    let Resource { host, app, service, instance, .. } = resource;
    format!("{host}/{app}.{service}.{instance}")
}

/// A name of the record that no other has, not even after a power cut that took numbers back.
fn uid(subject: &Subject<'_>) -> String {
    format!("{}@{}:{}", instance(subject.resource), subject.resource.started, subject.record.seq)
}

fn own_attribute((key, value): (&String, &Value)) -> Value {
    let is_stream = key == attribute::STREAM && (value == "stdout" || value == "stderr");
    attribute(if is_stream { "log.iostream" } else { key }, value)
}

fn attribute(key: &str, value: &Value) -> Value {
    json!({ "key": key, "value": any(value) })
}

/// `AnyValue`.
fn any(value: &Value) -> Value {
    match value {
        Value::Null => Value::Object(Map::new()),
        Value::Bool(value) => json!({ "boolValue": value }),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Number(number) => match (number.as_i64(), number.is_u64()) {
            (Some(number), _) => json!({ "intValue": number.to_string() }),
            (None, true) => json!({ "stringValue": number.to_string() }),
            (None, false) => json!({ "doubleValue": number }),
        },
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(any).collect();
            json!({ "arrayValue": { "values": values } })
        }
        Value::Object(map) => {
            let values: Vec<_> = map.iter().map(|(key, value)| attribute(key, value)).collect();
            json!({ "kvlistValue": { "values": values } })
        }
    }
}

/// The lowest number of a severity's range, and its name.
fn severity(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Trace => (1, "TRACE"),
        Severity::Debug => (5, "DEBUG"),
        Severity::Info => (9, "INFO"),
        Severity::Warn => (13, "WARN"),
        Severity::Error => (17, "ERROR"),
        Severity::Fatal => (21, "FATAL"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{record, resource};
    use super::*;

    fn export(resource: &Resource, records: &[LogRecord]) -> Value {
        let mut body = begin(resource);
        let mut entries = Vec::new();
        for record in records {
            append(&Subject { resource, record, line: b"" }, &mut entries);
        }
        body.extend_from_slice(&entries[1..]);
        body.extend_from_slice(END);
        serde_json::from_slice(&body).unwrap()
    }

    fn text(key: &str, value: &str) -> Value {
        json!({ "key": key, "value": { "stringValue": value } })
    }

    #[test]
    fn an_export_is_as_otlp_has_it() {
        let mut one = record(1, "it broke");
        one.severity = Severity::Fatal;
        one.trace_id = Some("0af7651916cd43dd8448eb211c80319c".into());
        one.span_id = Some("not an id".into());
        one.attributes.insert("n".into(), json!([1, -2, 2.5, u64::MAX, true, null]));
        one.attributes.insert("map".into(), json!({ "k": "v" }));
        let export = export(&resource(), &[one, record(2, "two")]);
        let resource = &export["resourceLogs"][0]["resource"]["attributes"];
        for expected in [
            text("service.namespace", "shop"),
            text("service.name", "web"),
            text("service.instance.id", "box.example/shop.web.2"),
            text("service.version", "3"),
            text("host.name", "box.example"),
            json!({ "key": "hostctl.instance", "value": { "intValue": "2" } }),
        ] {
            assert!(resource.as_array().unwrap().contains(&expected), "{expected}");
        }
        let records = &export["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
        assert_eq!(records.as_array().unwrap().len(), 2);
        assert_eq!(
            records[0],
            json!({
                "timeUnixNano": "1767323041000000001",
                "observedTimeUnixNano": "1767323041000000001",
                "severityNumber": 21,
                "severityText": "FATAL",
                "body": { "stringValue": "it broke" },
                "traceId": "0af7651916cd43dd8448eb211c80319c",
                "attributes": [
                    text("log.record.uid", "box.example/shop.web.2@2026-01-02T03:00:00Z:1"),
                    { "key": "hostctl.seq", "value": { "intValue": "1" } },
                    text("log.iostream", "stdout"),
                    { "key": "n", "value": { "arrayValue": { "values": [
                        { "intValue": "1" }, { "intValue": "-2" }, { "doubleValue": 2.5 },
                        { "stringValue": "18446744073709551615" }, { "boolValue": true }, {},
                    ] } } },
                    { "key": "map", "value": { "kvlistValue": { "values": [text("k", "v")] } } },
                ],
            })
        );
    }

    #[test]
    fn what_has_no_name_of_its_own_is_called_as_the_app() {
        let mut resource = resource();
        resource.service = SINGLE_SERVICE.into();
        let export = export(&resource, &[record(1, "x")]);
        let resource = &export["resourceLogs"][0]["resource"]["attributes"];
        assert!(resource.as_array().unwrap().contains(&text("service.name", "shop")));
    }

    #[test]
    fn what_was_thrown_away_is_heard() {
        let said = |answer: &str| rejected(answer.as_bytes());
        let two = Some((2, "too old".to_owned()));
        assert_eq!(
            said(r#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}"#),
            two
        );
        assert_eq!(
            said(r#"{"partial_success":{"rejected_log_records":2,"error_message":"too old"}}"#),
            two
        );
        for nothing in [
            "",
            "{}",
            "null",
            "[1]",
            r#"{"partialSuccess":{}}"#,
            "garbage",
            r#"{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"a warning"}}"#,
        ] {
            assert_eq!(said(nothing), None, "{nothing}");
        }
    }
}
