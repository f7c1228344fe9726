//! Promise: `log/record.schema.json` describes the lines of a log as their types are; what was once
//! written in version 1 can be read for ever. `tests/log/version-1.log` is never changed: lines are
//! only added to it.

use manifest_spec::log::{Header, LogRecord, Resource, Severity, VERSION, attribute};
use serde_json::{Map, Value, from_str, from_value, to_value};

use crate::api::description::names;
use crate::checker::Checker;

/// Lines of an instance's own log, as version 1 wrote them, some with keys that came later.
const LINES: &str = include_str!("../log/version-1.log");

fn schema() -> Value {
    from_str(include_str!("../../log/record.schema.json")).expect("it is JSON")
}

fn lines() -> impl Iterator<Item = Map<String, Value>> {
    LINES.lines().map(|line| from_str(line).expect("one object a line"))
}

fn keys<'a>(schema: &'a Value, name: &str) -> Vec<&'a str> {
    let properties = schema["$defs"][name]["properties"].as_object().expect("properties");
    properties.keys().map(String::as_str).filter(|key| *key != "crc").collect()
}

#[test]
fn the_schema_has_the_keys_and_words_of_the_types() {
    let schema = schema();
    assert_eq!(keys(&schema, "LogRecord"), names::<LogRecord>());
    assert_eq!(keys(&schema, "Header"), names::<Header>());
    assert_eq!(keys(&schema, "Resource"), names::<Resource>());
    assert_eq!(keys(&schema, "Attributes"), attribute::ALL);
    let words = to_value(Severity::ALL).expect("it is JSON");
    assert_eq!(schema["$defs"]["Severity"]["enum"], words);
    for (name, word) in schema["$defs"].as_object().expect("definitions") {
        assert!(word["description"].is_string(), "{name}");
    }
    let version = &schema["$defs"]["LogRecord"]["properties"]["v"]["maximum"];
    assert_eq!(*version, VERSION);
}

#[test]
fn lines_of_version_1_have_the_form_that_is_described() {
    let schema = schema();
    let checker = Checker { root: &schema };
    for line in lines() {
        let value = Value::Object(line);
        assert!(checker.accepts(&schema, &value), "{value}");
        // What is required can't be left out.
        let name = if value.get("seq").is_some() { "LogRecord" } else { "Header" };
        for key in schema["$defs"][name]["required"].as_array().expect("keys") {
            let mut without = value.clone();
            without.as_object_mut().expect("an object").shift_remove(key.as_str().expect("a key"));
            assert!(!checker.accepts(&schema, &without), "without {key}: {value}");
            let reads = from_value::<LogRecord>(without.clone()).is_ok()
                || from_value::<Header>(without).is_ok();
            assert!(!reads, "without {key}: {value}");
        }
    }
}

#[test]
fn lines_of_version_1_are_read_for_ever() {
    let mut seen = Vec::new();
    for line in lines() {
        let value = Value::Object(line.clone());
        let again = match line.contains_key("seq") {
            true => to_value(from_value::<LogRecord>(value).expect("a record")),
            false => to_value(from_value::<Header>(value).expect("a header")),
        };
        let again = again.expect("it is JSON");
        let known = |key: &String| key != "crc" && !key.starts_with("later_");
        let expected: Map<String, Value> = line
            .into_iter()
            .filter(|(key, _)| known(key))
            .map(|(key, one)| (key, strip(one)))
            .collect();
        assert_eq!(again, Value::Object(expected));
        seen.extend(again["attributes"].as_object().into_iter().flat_map(Map::keys).cloned());
        seen.extend(again.as_object().into_iter().flat_map(Map::keys).cloned());
    }
    // Every key and every attribute of the agent is in them.
    let all = names::<LogRecord>().into_iter().chain(names::<Header>()).chain(attribute::ALL);
    let missing: Vec<&str> = all.filter(|key| !seen.iter().any(|one| one == key)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

/// Without what the types do not know.
fn strip(value: Value) -> Value {
    match value {
        Value::Object(members) if members.contains_key("boot_id") => {
            members.into_iter().filter(|(key, _)| !key.starts_with("later_")).collect()
        }
        value => value,
    }
}

#[test]
fn only_what_the_agent_says_is_kept_from_programs() {
    let own: Vec<&str> =
        attribute::ALL.into_iter().filter(|name| attribute::is_agents(name)).collect();
    assert_eq!(own.len(), 14);
    for name in ["stream", "gap", "gap.first", "exception.fingerprint", "exception.any"] {
        assert!(attribute::is_agents(name), "{name}");
    }
    for name in ["streams", "exception", "gaps", "app.stream", "syslog.appname", "level", ""] {
        assert!(!attribute::is_agents(name), "{name}");
    }
}
