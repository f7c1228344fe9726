//! Promise: the messages of hostd's API keep their form. Each is a file in `tests/api`, read into
//! its type and written back to the same text; keys a reader does not know are ignored.

use manifest_spec::api::{
    AppList, AppStatus, AuditList, Changed, DeployRequest, Deployed, DiagnosticBody, Difference,
    ErrorBody, ErrorCode, Event, EventKind, ExecRequest, History, HostStatus, LbAddRequest,
    LbDrainRequest, LbList, LbPolicyRequest, LbRemoveRequest, LbWeightRequest, LogLine,
    OverridesWire, PlanRequest, PortOffset, RemoveRequest, RollbackRequest, ScaleRequest,
    ServiceRequest, SinkList, SinkTestRequest, SinkTrials,
};
use manifest_spec::log::sinks::{SinkEntry, SinkName};
use manifest_spec::{Document, limits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_str, json};

use crate::golden::same;

pub(crate) mod description;
mod frames;

/// A message that is kept in a file.
struct Kept {
    /// The file in `tests/api`, without `.json`.
    file: &'static str,
    /// The name of its type, and of its schema.
    schema: &'static str,
    /// A text of it, read and written again.
    again: fn(&str) -> String,
    /// Whether a text is one.
    reads: fn(&str) -> bool,
}

macro_rules! kept {
    ($($file:literal: $type:ident,)+) => {
        vec![$(Kept {
            file: $file,
            schema: stringify!($type),
            again: again::<$type>,
            reads: |text| from_str::<$type>(text).is_ok(),
        }),+]
    };
}

/// Every message.
fn kept() -> Vec<Kept> {
    kept! {
        "host-status": HostStatus,
        "app-list": AppList,
        "app-status": AppStatus,
        "app-status-first": AppStatus,
        "deploy-request": DeployRequest,
        "deploy-request-least": DeployRequest,
        "deployed": Deployed,
        "plan-request": PlanRequest,
        "difference": Difference,
        "service-request": ServiceRequest,
        "scale-request": ScaleRequest,
        "rollback-request": RollbackRequest,
        "remove-request": RemoveRequest,
        "changed": Changed,
        "history": History,
        "event": Event,
        "event-of-host": Event,
        "lb-list": LbList,
        "lb-add-request": LbAddRequest,
        "lb-remove-request": LbRemoveRequest,
        "lb-weight-request": LbWeightRequest,
        "lb-drain-request": LbDrainRequest,
        "lb-policy-request": LbPolicyRequest,
        "log-line": LogLine,
        "sink-list": SinkList,
        "sink-entry": SinkEntry,
        "sink-entry-file": SinkEntry,
        "sink-name": SinkName,
        "sink-test-request": SinkTestRequest,
        "sink-trials": SinkTrials,
        "exec-request": ExecRequest,
        "exec-request-terminal": ExecRequest,
        "error-body": ErrorBody,
        "error-body-diagnostics": ErrorBody,
        "audit-list": AuditList,
    }
}

fn again<T: DeserializeOwned + Serialize>(text: &str) -> String {
    let read: T = from_str(text).expect("the form of version 1");
    format!("{}\n", serde_json::to_string_pretty(&read).expect("it is JSON"))
}

#[test]
fn every_message_keeps_its_form() {
    for one in kept() {
        same(&format!("api/{}.json", one.file), one.again);
    }
}

#[test]
fn every_file_is_of_a_message() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api");
    for entry in std::fs::read_dir(folder).expect("the folder exists") {
        let name = entry.expect("it can be read").file_name().into_string().expect("UTF-8");
        let known = kept().iter().any(|one| name == format!("{}.json", one.file));
        assert!(known, "tests/api/{name} is of no message");
    }
}

#[test]
fn a_later_daemon_may_say_more() {
    let with = |text: &str| {
        let mut value: Value = from_str(text).expect("it is JSON");
        value["new"] = json!({ "key": 1 });
        value.to_string()
    };
    let list: AppList = from_str(&with(r#"{"apps":[]}"#)).expect("unknown keys are ignored");
    assert!(list.apps.is_empty());
    let event: Event = from_str(r#"{"seq":1,"at_ms":2,"kind":"melted","text":""}"#).expect("read");
    assert_eq!(event.kind, EventKind::Unknown);
    let error: ErrorBody =
        from_str(r#"{"code":"melted","message":"m","exit_code":1}"#).expect("read");
    assert_eq!((error.code, error.code.status()), (ErrorCode::Unknown, 500));
}

#[test]
fn a_port_offset_is_a_number_or_auto() {
    let read = |text: &str| from_str::<PortOffset>(text);
    assert_eq!(read("3").expect("a number"), PortOffset::By(3));
    assert_eq!(read("\"auto\"").expect("the word"), PortOffset::Auto);
    for wrong in ["\"3\"", "65536", "-1", "null", "\"\""] {
        let error = read(wrong).expect_err(wrong).to_string();
        assert!(error.contains("a number from 0 to 65535 or \"auto\""), "{wrong}: {error}");
    }
    let none: OverridesWire = from_str("{}").expect("nothing is said");
    assert_eq!(serde_json::to_string(&none).expect("it is JSON"), "{}");
}

#[test]
fn a_diagnostic_is_sent_as_it_is_printed() {
    let document = Document::parse("app.toml", "name = \"a\"\nrun = 3\n").expect("it is TOML");
    let found = document.manifest().expect_err("run is no number");
    let one = found.iter().next().expect("there is one");
    let body = DiagnosticBody::from(one);
    assert_eq!(body.text, one.to_string());
    assert_eq!((body.place.as_deref(), body.key.as_str()), (Some("app.toml:2:7"), "run"));
}

#[test]
fn the_largest_manifest_fits_a_request() {
    const { assert!(limits::REQUEST_BYTES > 6 * limits::FILE_BYTES) };
}
