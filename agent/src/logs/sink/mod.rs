//! Where records are sent: the kinds of sink, each with its form and its protocol.
//!
//! Owns what a sink is asked and what it answers. Invariant: whatever a peer does, a sink answers
//! within its time, in bounded memory, and says in words what went wrong; it never says that records
//! are taken which the peer did not take. Never keeps records: who asks does, and asks again.
//!
//! | module | owns |
//! | --- | --- |
//! | [`open`] | the sink that an address names |
//! | [`answer`] | what a sink says, and what the statuses of HTTP mean |
//! | [`codec`] | how records are written for each kind |
//! | [`line`] | records as lines |
//! | [`file`] | files, rotated |
//! | [`journal`] | the host's journal |
//! | [`syslog`] | RFC 5424 over what carries it |
//! | [`push`] | batches as requests of HTTP |
//! | [`loki`], [`otlp`] | their bodies for Loki and OpenTelemetry |
//! | [`program`] | a program on its standard input |
//! | [`http`], [`tls`], [`reach`] | requests, TLS, connections |

pub mod answer;
pub mod codec;
pub mod file;
pub mod http;
pub mod journal;
pub mod line;
pub mod loki;
pub mod open;
pub mod otlp;
pub mod program;
pub mod push;
pub mod reach;
pub mod syslog;
pub mod tls;

pub use answer::{Answer, Verdict};
pub use codec::Codec;
pub use open::{Sink, Surroundings, trial};

#[cfg(test)]
pub(crate) mod tests {
    use manifest_spec::log::{LogRecord, Resource, Severity, VERSION};
    use serde_json::{Map, json};

    /// An instance of tests.
    pub(crate) fn resource() -> Resource {
        Resource {
            app: "shop".into(),
            service: "web".into(),
            instance: 2,
            version: Some(3),
            host: "box.example".into(),
            boot_id: "1f1b8b52-8d1c-4a5e-9a0b-0e0f2f7c3d11".into(),
            started: "2026-01-02T03:00:00Z".into(),
        }
    }

    /// A record of tests: one a second.
    pub(crate) fn record(seq: u64, body: &str) -> LogRecord {
        let at = std::time::Duration::new(1_767_323_040 + seq, 0);
        let ts = crate::logs::stamp(at).replace(".000000Z", ".000000001Z");
        let mut attributes = Map::new();
        attributes.insert("stream".into(), json!("stdout"));
        LogRecord {
            v: VERSION,
            seq,
            ts,
            severity: Severity::Info,
            body: body.into(),
            attributes,
            trace_id: None,
            span_id: None,
            at: None,
        }
    }
}
