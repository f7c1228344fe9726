//! What hostd answers when it does not do what was asked.
//!
//! Invariant: every refusal says what, why and what to do instead, and carries the exit code that a
//! client ends with.

use std::collections::BTreeMap;

use manifest_spec::api::{DiagnosticBody, ErrorBody, ErrorCode};
use manifest_spec::log::sinks::SinkName;
use manifest_spec::manifest::SinkTarget;
use manifest_spec::policy::Verb;

use super::peer::Peer;
use super::record::VersionRecord;
use super::world::App;
use crate::audit::AuditError;
use crate::failure::{self, Error};
use crate::state::StateError;

fn body(code: ErrorCode, exit_code: u8, message: impl Into<String>) -> ErrorBody {
    ErrorBody {
        code,
        message: message.into(),
        hint: None,
        diagnostics: Vec::new(),
        more_diagnostics: 0,
        exit_code,
    }
}

fn hinted(body: ErrorBody, hint: impl Into<String>) -> ErrorBody {
    ErrorBody { hint: Some(hint.into()), ..body }
}

/// A failure of the library, as it is told on the command line.
pub fn of(error: &Error) -> ErrorBody {
    let told = error.told();
    let exit_code = error.exit_code();
    let code = match exit_code {
        failure::DATA => ErrorCode::BadManifest,
        failure::HELD => ErrorCode::Held,
        failure::NOT_PERMITTED => ErrorCode::Refused,
        failure::UNAVAILABLE => ErrorCode::Unavailable,
        failure::USAGE => ErrorCode::BadRequest,
        _ => ErrorCode::Internal,
    };
    let diagnostics = match error {
        Error::Plan(all) | Error::Source(crate::source::SourceError::Invalid(all)) => {
            all.iter().map(DiagnosticBody::from).collect()
        }
        _ => Vec::new(),
    };
    ErrorBody { hint: told.hint, diagnostics, ..body(code, exit_code, told.message) }
}

/// The state file takes nothing.
pub fn state(error: &StateError) -> ErrorBody {
    let body = body(ErrorCode::Unavailable, failure::UNAVAILABLE, format!("not kept: {error}"));
    hinted(body, "what runs goes on; free some space and try again")
}

/// The request itself is wrong.
pub fn bad_request(message: &str) -> ErrorBody {
    body(ErrorCode::BadRequest, failure::USAGE, message)
}

/// The request is longer than any that makes sense.
pub fn too_large(limit: usize) -> ErrorBody {
    let message = format!("the request is longer than {} MiB", limit >> 20);
    body(ErrorCode::TooLarge, failure::USAGE, message)
}

/// There is no such path.
pub fn no_path(path: &str) -> ErrorBody {
    let message = format!("there is nothing at {path}");
    hinted(
        body(ErrorCode::NotFound, failure::USAGE, message),
        "the API is described by openapi.json",
    )
}

/// The path has no such method.
pub fn no_method(method: &str, path: &str) -> ErrorBody {
    body(ErrorCode::BadMethod, failure::USAGE, format!("{path} takes no {method}"))
}

/// hostd is about to end.
pub fn ending() -> ErrorBody {
    let body = body(ErrorCode::Unavailable, failure::UNAVAILABLE, "hostd is about to end");
    hinted(body, "try again when it is there; what runs goes on")
}

/// Nobody may do this but whom the policy names.
pub fn forbidden(peer: &Peer, app: &str, verb: Verb) -> ErrorBody {
    let message =
        format!("{} may not {} {app}: the host policy does not say so", peer.name(), verb.as_str());
    let hint = format!(
        "ask for this in policy.toml: [[users]] uid = {}, apps = [\"{app}\"], may = [\"{}\"]",
        peer.uid,
        verb.as_str()
    );
    hinted(body(ErrorCode::Forbidden, failure::NOT_PERMITTED, message), hint)
}

/// What only the user that hostd runs as may do.
pub fn owner_only(peer: &Peer, what: &str) -> ErrorBody {
    let message = format!("{} may not {what}: only root may", peer.name());
    body(ErrorCode::Forbidden, failure::NOT_PERMITTED, message)
}

/// A sink that hostd would write to, or start, with its own rights.
pub fn sink(peer: &Peer, to: &SinkTarget) -> ErrorBody {
    let does = match to {
        SinkTarget::File(_) => "writes log files",
        SinkTarget::Exec(_) => "starts the programs of sinks",
        _ => "writes to sockets of this host",
    };
    let message =
        format!("logs.sinks: hostd {does} with its own rights, so {} can't name {to}", peer.name());
    let hint =
        "leave them out with --unset logs.sinks, or have root put them into the app's drop-in";
    hinted(body(ErrorCode::Refused, failure::NOT_PERMITTED, message), hint)
}

/// No app of this name is deployed.
pub(super) fn unknown_app(name: &str, apps: &BTreeMap<String, App>) -> ErrorBody {
    let names: Vec<&str> = apps.keys().map(String::as_str).collect();
    let hint = match names.as_slice() {
        [] => "nothing is deployed; `hostctl deploy app.toml` does that".to_owned(),
        names => format!("deployed are {}", names.join(", ")),
    };
    let message = format!("no app {name:?} is deployed");
    hinted(body(ErrorCode::NotFound, failure::DATA, message), hint)
}

/// The app has no such sink.
pub fn unknown_sink(app: &str, name: &SinkName, known: &[SinkName]) -> ErrorBody {
    let message = format!("{app} has no sink {name}");
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    let hint = match names.is_empty() {
        true => "it has none at all".to_owned(),
        false => format!("its sinks are {}", names.join(", ")),
    };
    hinted(body(ErrorCode::NotFound, failure::DATA, message), hint)
}

/// What is to be added is no sink.
pub fn sink_entry(message: &str, hint: Option<&str>) -> ErrorBody {
    let hint = hint.map(str::to_owned);
    ErrorBody { hint, ..body(ErrorCode::BadRequest, failure::USAGE, message) }
}

/// Nothing was written that is asked for.
pub fn no_logs(app: Option<&str>) -> ErrorBody {
    let message = match app {
        Some(app) => format!("there are no logs of {app} that this could be about"),
        None => "there are no logs yet".to_owned(),
    };
    hinted(
        body(ErrorCode::NotFound, failure::DATA, message),
        "`hostctl status` names the services and instances of an app",
    )
}

/// More logs than one answer can be made of.
pub fn too_many_logs(count: usize) -> ErrorBody {
    let message = format!("{count} instances have logs, too many for one answer");
    hinted(body(ErrorCode::BadRequest, failure::USAGE, message), "name an app or a service")
}

/// Logs are there and can't be read.
pub fn unread(message: &str) -> ErrorBody {
    body(ErrorCode::Unavailable, failure::UNAVAILABLE, message)
}

/// The app has no such service.
pub fn unknown_service(app: &str, service: &str, names: &[&str]) -> ErrorBody {
    let message = format!("{app} has no service {service:?}");
    let hint = format!("its services are {}", names.join(", "));
    hinted(body(ErrorCode::NotFound, failure::DATA, message), hint)
}

/// The app has several services, and one must be named.
pub fn which_service(app: &str, names: &[&str]) -> ErrorBody {
    let message = format!("{app} has several services");
    let hint = format!("name one of {}, as in {app}.{}", names.join(", "), names[0]);
    hinted(body(ErrorCode::BadRequest, failure::USAGE, message), hint)
}

/// More instances than the host policy allows.
pub fn ceiling(wanted: u32, top: u32) -> ErrorBody {
    let message = format!("{wanted} is above the host policy's ceilings.count, {top}");
    let hint = format!("write {top} or less");
    hinted(body(ErrorCode::Refused, failure::NOT_PERMITTED, message), hint)
}

/// The audit log takes nothing: then nothing is done.
pub fn audit(error: &AuditError) -> ErrorBody {
    let message = format!("the audit log can't be written or read: {error}");
    let full = |error: &std::io::Error| error.kind() == std::io::ErrorKind::StorageFull;
    let hint = match error {
        AuditError::Io(_, error) if full(error) => {
            "nothing was done, and what runs goes on; free some space and try again"
        }
        _ => "nothing was done; see STATE/audit.log and `hostctl audit verify`",
    };
    hinted(body(ErrorCode::Unavailable, failure::UNAVAILABLE, message), hint)
}

/// There is no version to go back to.
pub fn no_version(
    app: &str,
    wanted: Option<u32>,
    versions: &BTreeMap<u32, VersionRecord>,
) -> ErrorBody {
    let message = match wanted {
        Some(number) => format!("{app} has no version {number}"),
        None => format!("no version of {app} served before this one"),
    };
    let all: Vec<String> = versions.keys().map(ToString::to_string).collect();
    hinted(
        body(ErrorCode::NotFound, failure::DATA, message),
        format!("its versions are {}", all.join(", ")),
    )
}

/// The plan that was made is not what would be done now.
pub fn moved(app: &str) -> ErrorBody {
    let message = format!("{app} has changed since this plan was made");
    hinted(
        body(ErrorCode::Moved, failure::HELD, message),
        "make the plan again, read what is different, and apply that",
    )
}

/// The app is being removed.
pub fn on_its_way_out(app: &str) -> ErrorBody {
    let message = format!("{app} is being removed");
    hinted(body(ErrorCode::Conflict, failure::HELD, message), "deploy it when it is gone")
}

/// Something that is not there.
pub fn missing(message: impl Into<String>, hint: &str) -> ErrorBody {
    hinted(body(ErrorCode::NotFound, failure::DATA, message), hint)
}

/// A service of the balancer has no such backend.
pub fn no_backend(name: &str, backend: &str, known: &[String]) -> ErrorBody {
    let hint = match known {
        [] => "it has none".to_owned(),
        known => format!("its backends are {}", known.join(", ")),
    };
    missing(format!("{name} has no backend {backend}"), &hint)
}

/// Something is in the way.
pub fn conflict(message: impl Into<String>, hint: &str) -> ErrorBody {
    hinted(body(ErrorCode::Conflict, failure::HELD, message), hint)
}
