//! The API's paths, and what each request means.
//!
//! Invariant: [`ROUTES`] is the whole API, held against its OpenAPI description by a test; pure.

use hyper::Method;
use manifest_spec::api::{AuditList, ErrorBody, LogQuery};
use serde::de::DeserializeOwned;

use super::event::{Call, Reply};
use super::{refusal, server};

/// One operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path, with `{app}` for an app's name.
    pub path: &'static str,
    /// Its name in the OpenAPI description.
    pub operation: &'static str,
}

const fn route_of(method: &'static str, path: &'static str, operation: &'static str) -> Route {
    Route { method, path, operation }
}

/// Every operation.
pub const ROUTES: [Route; 27] = [
    route_of("GET", "/v1/host", "host"),
    route_of("POST", "/v1/halt", "halt"),
    route_of("GET", "/v1/apps", "apps"),
    route_of("GET", "/v1/apps/{app}", "app"),
    route_of("DELETE", "/v1/apps/{app}", "remove"),
    route_of("POST", "/v1/deploy", "deploy"),
    route_of("POST", "/v1/plan", "plan"),
    route_of("POST", "/v1/apps/{app}/stop", "stop"),
    route_of("POST", "/v1/apps/{app}/start", "start"),
    route_of("POST", "/v1/apps/{app}/restart", "restart"),
    route_of("POST", "/v1/apps/{app}/scale", "scale"),
    route_of("POST", "/v1/apps/{app}/rollback", "rollback"),
    route_of("GET", "/v1/apps/{app}/history", "history"),
    route_of("POST", "/v1/apps/{app}/exec", "exec"),
    route_of("GET", "/v1/events", "events"),
    route_of("GET", "/v1/lb", "lb"),
    route_of("POST", "/v1/lb/add", "lb_add"),
    route_of("POST", "/v1/lb/remove", "lb_remove"),
    route_of("POST", "/v1/lb/weight", "lb_weight"),
    route_of("POST", "/v1/lb/drain", "lb_drain"),
    route_of("POST", "/v1/lb/policy", "lb_policy"),
    route_of("GET", "/v1/metrics", "metrics"),
    route_of("GET", "/v1/logs", "logs"),
    route_of("GET", "/v1/sinks", "sinks"),
    route_of("POST", "/v1/apps/{app}/sinks", "add_sink"),
    route_of("DELETE", "/v1/apps/{app}/sinks", "remove_sink"),
    route_of("POST", "/v1/apps/{app}/sinks/test", "test_sinks"),
];

/// The operation that only root may ask for beside those above.
pub const AUDIT: Route = route_of("GET", "/v1/audit", "audit");

/// What a request means; and for events, whether it goes on with what happens from now on.
///
/// # Errors
/// A path that is none, a method that it does not have, a body that is not its own.
pub fn route(
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> Result<(Call, bool), ErrorBody> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let all = || ROUTES.iter().chain([&AUDIT]);
    let matching = |route: &&Route| matches(route.path, &parts);
    if !all().any(|route| matching(&route)) {
        return Err(refusal::no_path(path));
    }
    let found = all().filter(matching).find(|route| route.method == method.as_str());
    let Some(found) = found else { return Err(refusal::no_method(method.as_str(), path)) };
    let app = parts.get(2).map(|name| decoded(name)).unwrap_or_default();
    let call = match found.operation {
        "host" => Call::Host,
        "halt" => Call::Halt,
        "apps" => Call::Apps,
        "app" => Call::App(app),
        "remove" => Call::Remove(app, read_or_default(body)?),
        "deploy" => Call::Deploy(Box::new(read(body)?)),
        "plan" => Call::Plan(Box::new(read(body)?)),
        "stop" => Call::Stop(app, read_or_default(body)?),
        "start" => Call::Start(app, read_or_default(body)?),
        "restart" => Call::Restart(app, read_or_default(body)?),
        "scale" => Call::Scale(app, read(body)?),
        "rollback" => Call::Rollback(app, read_or_default(body)?),
        "history" => Call::History(app),
        "exec" => Call::Exec(app, Box::new(read(body)?)),
        "events" => Call::Events {
            since: parameter(query, "since").and_then(|text| text.parse().ok()).unwrap_or(0),
            app: parameter(query, "app"),
        },
        "lb" => Call::Lb(parameter(query, "name")),
        "lb_add" => Call::LbAdd(Box::new(read(body)?)),
        "lb_remove" => Call::LbRemove(read(body)?),
        "lb_weight" => Call::LbWeight(read(body)?),
        "lb_drain" => Call::LbDrain(read(body)?),
        "lb_policy" => Call::LbPolicy(read(body)?),
        "metrics" => Call::Metrics,
        "sinks" => Call::Sinks(parameter(query, "app")),
        "add_sink" => Call::AddSink(app, Box::new(read(body)?)),
        "remove_sink" => Call::RemoveSink(app, read(body)?),
        "test_sinks" => Call::TestSinks(app, Box::new(read_or_default(body)?)),
        "logs" => {
            let query = LogQuery::read(query).map_err(|error| refusal::bad_request(&error))?;
            Call::Logs(Box::new(query))
        }
        _ => Call::Audit {
            count: parameter(query, "count").and_then(|text| text.parse().ok()).unwrap_or(100),
        },
    };
    Ok((call, parameter(query, "follow").is_some_and(|value| value != "false")))
}

/// A reply as JSON.
///
/// # Errors
/// For what is no body: events and commands are streams.
pub fn body(reply: &Reply) -> Result<Vec<u8>, ErrorBody> {
    Ok(match reply {
        Reply::Host(status) => server::line(status),
        Reply::Apps(list) => server::line(list),
        Reply::App(status) => server::line(status),
        Reply::Deployed(deployed) => server::line(deployed),
        Reply::Difference(difference) => server::line(difference),
        Reply::Changed(changed) => server::line(changed),
        Reply::History(history) => server::line(history),
        Reply::Audit(entries) => server::line(&AuditList { entries: entries.clone() }),
        Reply::Sinks(list) => server::line(list),
        Reply::Lb(list) => server::line(list),
        Reply::Events(..) | Reply::Logs(..) | Reply::TestSinks(..) => {
            return Err(refusal::bad_request("a stream"));
        }
        Reply::Metrics(_) | Reply::Exec(_) => {
            return Err(refusal::bad_request("a stream"));
        }
    })
}

fn matches(pattern: &str, parts: &[&str]) -> bool {
    let pattern: Vec<&str> = pattern.trim_start_matches('/').split('/').collect();
    pattern.len() == parts.len()
        && pattern
            .iter()
            .zip(parts)
            .all(|(wanted, part)| wanted == part || (*wanted == "{app}" && !part.is_empty()))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ErrorBody> {
    serde_json::from_slice(body)
        .map_err(|error| refusal::bad_request(&format!("the body of the request: {error}")))
}

fn read_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, ErrorBody> {
    if body.iter().all(u8::is_ascii_whitespace) { Ok(T::default()) } else { read(body) }
}

/// A parameter of the query, decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| decoded(value))
    })
}

/// Percent-encoding undone (RFC 3986, section 2.1); `+` is itself, as in an app's name.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, path: &str) -> String {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        match route(&method, path, "since=7&app=shop%2B3", b"") {
            Ok((call, _)) => format!("{call:?}"),
            Err(error) => format!("{:?}", error.code),
        }
    }

    #[test]
    fn paths_mean_calls() {
        assert_eq!(call("GET", "/v1/apps/shop+3"), "App(\"shop+3\")");
        assert_eq!(call("GET", "/v1/apps/shop%2B3"), "App(\"shop+3\")");
        assert_eq!(call("GET", "/v1/events"), "Events { since: 7, app: Some(\"shop+3\") }");
        assert_eq!(call("PUT", "/v1/apps/shop"), "BadMethod");
        assert_eq!(call("GET", "/v1/apps/"), "NotFound");
        assert_eq!(call("GET", "/v2/apps"), "NotFound");
        assert_eq!(call("POST", "/v1/deploy"), "BadRequest");
    }

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let text = include_str!("../../../manifest-spec/api/openapi.json");
        let description: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut described = Vec::new();
        for (path, operations) in description["paths"].as_object().unwrap() {
            let methods = operations.as_object().unwrap().iter();
            described.extend(methods.filter(|(name, _)| *name != "parameters").map(
                |(method, one)| {
                    let operation = one["operationId"].as_str().unwrap();
                    (method.to_uppercase(), path.clone(), operation.to_owned())
                },
            ));
        }
        let known = ROUTES.iter().chain([&AUDIT]);
        let mut known: Vec<_> = known
            .map(|one| (one.method.to_owned(), one.path.to_owned(), one.operation.to_owned()))
            .collect();
        described.sort();
        known.sort();
        assert_eq!(described, known);
    }
}
