//! Promise: the files other processes read keep their form; keys a reader does not know are
//! ignored, keys that say nothing are left out.

use manifest_spec::log::{LogRecord, Severity};
use manifest_spec::wire::{ResolvedManifest, VERSION};
use serde_json::{from_str, json, to_value};

#[test]
fn a_resolved_manifest_keeps_its_form() {
    let text = json!({
        "v": 1,
        "name": "hello+3",
        "service": "main",
        "instance": 1,
        "dir": "/srv/hello",
        "run": ["./server", "--port", "8083"],
        "ports": [
            { "port": 8083, "protocol": "tcp" },
            { "name": "metrics", "port": 9103, "protocol": "tcp", "interface": "lo" }
        ],
        "access": {
            "base": "system",
            "read": ["/srv/hello"],
            "write": [],
            "data": ["/srv/data"],
            "network": "host",
            "interfaces": ["lo"],
            "connect": ["10.0.0.0/8:5432"],
            "capabilities": []
        },
        "limits": { "memory": 536870912, "cpu": 150 },
        "needs": [{ "name": "db", "host": "127.0.0.1", "port": 5432 }],
        "logs": {
            "keep_bytes": 524288000,
            "keep_seconds": 1209600,
            "full": "drop-oldest",
            "redact": ["DB_PASSWORD"],
            "sinks": ["journal"]
        }
    });
    let read: ResolvedManifest = from_str(&text.to_string()).expect("the form of version 1");
    assert_eq!(read.v, VERSION);
    assert_eq!(to_value(&read).expect("it is JSON"), text);
}

#[test]
fn a_log_record_keeps_its_form() {
    let text = json!({
        "v": 1,
        "seq": 7,
        "ts": "2026-01-02T03:04:05.678Z",
        "severity": "warn",
        "body": "slow query",
        "attributes": { "ms": 1200 }
    });
    let read: LogRecord = from_str(&text.to_string()).expect("the form of version 1");
    assert_eq!(read.severity, Severity::Warn);
    assert_eq!(to_value(&read).expect("it is JSON"), text);
}

#[test]
fn a_later_version_may_add_keys() {
    let text = r#"{"v":1,"seq":1,"ts":"","severity":"info","body":"","new":true}"#;
    let read: LogRecord = from_str(text).expect("unknown keys are ignored");
    assert!(read.attributes.is_empty());
}
