//! Promise: `api/openapi.json` describes the messages as they are: each type with its keys, each
//! word of a choice, what may be left out, and nothing else.

use std::collections::BTreeSet;

use manifest_spec::api::{
    AppList, AppStatus, AppSummary, AuditEntry, AuditList, AuditOutcome, Change, ChangeKind,
    Changed, DeployRequest, Deployed, DiagnosticBody, Difference, Effect, ErrorBody, ErrorCode,
    Event, EventKind, ExecRequest, FailedRollout, History, HostDirectories, HostStatus,
    InstanceState, InstanceStatus, LbAddRequest, LbBackend, LbDrainRequest, LbList, LbPlace,
    LbPolicyRequest, LbRemoveRequest, LbService, LbState, LbWeightRequest, LogFlow, LogLine,
    ManifestSource, OverridesWire, PlanRequest, PortStatus, Pressure, RemoveRequest,
    RollbackRequest, Rollout, ScaleRequest, ServiceRequest, ServiceStatus, SinkList, SinkStatus,
    SinkTestRequest, SinkTrial, SinkTrials, Terminal, Usage, VersionEntry, VersionState, Wanted,
};
use manifest_spec::log::Severity;
use manifest_spec::log::metrics::{SinkError, SinkMetrics, SinkState};
use manifest_spec::log::sinks::{SinkEntry, SinkName};
use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Value, from_str};

use super::{Kept, kept};
use crate::checker::Checker;

fn description() -> Value {
    from_str(include_str!("../../../api/openapi.json")).expect("it is JSON")
}

/// Takes down which keys or words a type asks for, and gives it nothing.
struct Names<'a>(&'a mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("nothing"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.extend(fields);
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // What stands for words of later versions is no word.
        self.0.extend(variants.iter().filter(|word| **word != "unknown"));
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The keys or words of a type.
pub(crate) fn names<'de, T: Deserialize<'de>>() -> Vec<&'static str> {
    let mut names = Vec::new();
    let _ = T::deserialize(Names(&mut names));
    names
}

macro_rules! types {
    ($($type:ident)+) => { vec![$((stringify!($type), names::<$type>())),+] };
}

/// Every type but `PortOffset`, which is a number or a word.
fn types() -> Vec<(&'static str, Vec<&'static str>)> {
    types! {
        HostStatus HostDirectories AppList AppSummary Wanted AppStatus Rollout FailedRollout
        ServiceStatus PortStatus InstanceStatus InstanceState Usage Pressure LogFlow ServiceRequest
        ScaleRequest Changed ManifestSource OverridesWire DeployRequest Deployed PlanRequest
        Difference Change ChangeKind Effect RollbackRequest RemoveRequest History VersionEntry
        VersionState Event EventKind LbList LbService LbPlace LbBackend LbState LbAddRequest
        LbRemoveRequest LbWeightRequest LbDrainRequest LbPolicyRequest LogLine Severity SinkList SinkStatus SinkMetrics
        SinkState SinkError SinkEntry SinkName SinkTestRequest SinkTrials SinkTrial ExecRequest Terminal AuditEntry AuditOutcome AuditList
        ErrorBody DiagnosticBody ErrorCode
    }
}

#[test]
fn every_type_has_its_keys_and_words() {
    let description = description();
    let schemas = description["components"]["schemas"].as_object().expect("they are there");
    let types = types();
    for (name, names) in &types {
        let schema = schemas.get(*name).unwrap_or_else(|| panic!("{name} has no schema"));
        let described: Vec<&str> = match schema["properties"].as_object() {
            Some(properties) => properties.keys().map(String::as_str).collect(),
            None => words(schema),
        };
        assert_eq!(described, *names, "{name}");
    }
    let known = |name: &str| name == "PortOffset" || types.iter().any(|(known, _)| *known == name);
    let unknown: Vec<&String> = schemas.keys().filter(|name| !known(name)).collect();
    assert_eq!(unknown, Vec::<&String>::new(), "schemas of no type");
}

fn words(schema: &Value) -> Vec<&str> {
    let words = schema["enum"].as_array().expect("keys or words");
    words.iter().map(|word| word.as_str().expect("a word")).collect()
}

/// The kept messages have every key at least once, so what follows is about all of them.
#[test]
fn every_message_has_the_form_that_is_described() {
    let description = description();
    let checker = Checker { root: &description };
    let mut seen = BTreeSet::new();
    for one in kept() {
        let value = value_of(&one);
        let schema = &description["components"]["schemas"][one.schema];
        assert!(checker.accepts(schema, &value), "{}.json is no {}", one.file, one.schema);
        let walk = Walk { description: &description, one: &one, whole: &value };
        walk.object(one.schema, "", &value, &mut seen);
    }
    let all = types().into_iter().flat_map(|(name, names)| {
        let is_object = description["components"]["schemas"][name]["properties"].is_object();
        names.into_iter().filter(move |_| is_object).map(move |key| format!("{name}.{key}"))
    });
    let missing: Vec<String> = all.filter(|key| !seen.contains(key)).collect();
    assert_eq!(missing, Vec::<String>::new(), "keys that no file in tests/api has");
}

fn value_of(one: &Kept) -> Value {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api");
    let text = std::fs::read_to_string(folder.join(format!("{}.json", one.file)));
    from_str(&text.expect("it can be read")).expect("it is JSON")
}

/// A message that is tried without each of its keys.
struct Walk<'a> {
    description: &'a Value,
    one: &'a Kept,
    whole: &'a Value,
}

impl Walk<'_> {
    /// Go through a value of this schema that is at `path`.
    fn object(&self, name: &str, path: &str, value: &Value, seen: &mut BTreeSet<String>) {
        let schema = &self.description["components"]["schemas"][name];
        let required: Vec<&Value> = schema["required"].as_array().into_iter().flatten().collect();
        for (key, inner) in value.as_object().into_iter().flatten() {
            let mut without = self.whole.clone();
            let place = without.pointer_mut(path).and_then(Value::as_object_mut);
            place.expect("it was found there").shift_remove(key);
            let reads = (self.one.reads)(&without.to_string());
            let is_required = required.iter().any(|one| *one == key);
            assert_ne!(reads, is_required, "{name}.{key}, without it in {}", self.one.file);
            seen.insert(format!("{name}.{key}"));
            self.value(&schema["properties"][key], &format!("{path}/{key}"), inner, seen);
        }
    }

    fn value(&self, schema: &Value, path: &str, value: &Value, seen: &mut BTreeSet<String>) {
        if let Some(name) = schema["$ref"].as_str().and_then(|to| to.rsplit('/').next()) {
            self.object(name, path, value, seen);
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.value(&schema["items"], &format!("{path}/{index}"), item, seen);
        }
    }
}

#[test]
fn operations_are_named_once_and_say_how_they_fail() {
    let description = description();
    assert_eq!(description["openapi"], "3.1.0");
    assert_eq!(description["info"]["version"], manifest_spec::api::VERSION);
    let mut names = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().expect("paths") {
        assert!(path.starts_with("/v1/"), "{path}");
        for (method, operation) in methods.as_object().expect("methods") {
            let name = operation["operationId"].as_str().expect("a name");
            assert!(names.insert(name.to_owned()), "{name} is there twice");
            let failure = &operation["responses"]["default"]["$ref"];
            assert_eq!(failure, "#/components/responses/Failure", "{method} {path}");
            let takes_app = operation["parameters"].as_array().is_some_and(|all| {
                all.iter().any(|one| one["$ref"] == "#/components/parameters/app")
            });
            assert_eq!(takes_app, path.contains("{app}"), "{method} {path}");
        }
    }
}

#[test]
fn references_lead_somewhere_and_every_schema_is_used() {
    let description = description();
    let mut used = BTreeSet::new();
    references(&description, &mut used);
    for reference in &used {
        let pointer = reference.trim_start_matches('#');
        assert!(description.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    for name in description["components"]["schemas"].as_object().expect("schemas").keys() {
        assert!(used.contains(&format!("#/components/schemas/{name}")), "{name} is not used");
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|one| references(one, found));
        }
        Value::Array(list) => list.iter().for_each(|one| references(one, found)),
        _ => {}
    }
}
