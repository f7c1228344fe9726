//! Promise: the JSON Schema accepts what the format accepts and refuses what has the wrong form;
//! the key reference names every key once.

use crate::checker::Checker;
use crate::golden::Pairs;
use manifest_spec::{Document, keys, schema};
use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

const GOOD: Pairs = Pairs { folder: "accept", prefix: "good-", extension: "json" };
const BAD: Pairs = Pairs { folder: "ui", prefix: "bad-", extension: "stderr" };

fn table_json(table: &DeTable<'_>) -> Value {
    table
        .iter()
        .map(|(key, value)| (key.get_ref().to_string(), value_json(value.get_ref())))
        .collect()
}

fn value_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => {
            number.as_str().parse::<i64>().map_or(Value::Null, |n| json!(n))
        }
        DeValue::Float(number) => json!(number.as_str().parse::<f64>().unwrap_or(f64::NAN)),
        DeValue::Boolean(truth) => json!(truth),
        DeValue::Datetime(_) => Value::Null,
        DeValue::Array(items) => items.iter().map(|item| value_json(item.get_ref())).collect(),
        DeValue::Table(table) => table_json(table),
    }
}

fn accepts(text: &str) -> bool {
    let schema = schema();
    let table = DeTable::parse(text).expect("the case is TOML");
    Checker { root: &schema }.accepts(&schema, &table_json(table.get_ref()))
}

#[test]
fn good_manifests_are_accepted() {
    for name in GOOD.names() {
        assert!(accepts(&GOOD.input(&name)), "{name}");
    }
}

#[test]
fn wrong_forms_are_refused() {
    let forms = [
        "no-name",
        "no-run",
        "name-number",
        "unknown-key",
        "unknown-key-in-limits",
        "port-string",
        "port-zero",
        "port-too-large",
        "port-float",
        "port-protocol",
        "port-fixed-string",
        "count-zero",
        "base-unknown",
        "read-string",
        "needs-string",
        "run-number-in-list",
        "service-not-table",
        "services-not-table",
        "service-key-beside-services",
        "service-without-run",
        "hook-overlap",
        "hook-no-run",
        "sink-without-to",
        "port-table-without-number",
        "profile-name",
        "profile-value",
        "memory-integer",
    ];
    for form in forms {
        assert!(!accepts(&BAD.input(&format!("bad-{form}"))), "{form}");
    }
}

#[test]
fn every_example_is_valid_for_its_key() {
    for key in keys().iter().filter(|key| !key.path.contains(['<', '[', '.'])) {
        let rest = match key.path.as_str() {
            "name" => "run = \"x\"\n",
            "services" => "name = \"x\"\n",
            "run" => "name = \"x\"\nport = 1\n",
            "port" => "name = \"x\"\nrun = \"x\"\n",
            _ => "name = \"x\"\nrun = \"x\"\nport = 1\n",
        };
        // Needs no service of another: the key's form is what is shown.
        if key.path == "needs" {
            continue;
        }
        let text = format!("{rest}{} = {}\n", key.path, key.example);
        let result =
            Document::parse("example.toml", &text).and_then(|document| document.manifest());
        assert!(result.is_ok(), "{text}\n{}", result.expect_err("it is not ok"));
        assert!(accepts(&text), "{text}");
    }
}

#[test]
fn the_reference_names_every_key_once() {
    let keys = keys();
    let mut paths: Vec<&str> = keys.iter().map(|key| key.path.as_str()).collect();
    paths.sort_unstable();
    let count = paths.len();
    paths.dedup();
    assert_eq!(paths.len(), count);
    for path in [
        "name",
        "access.read",
        "ports.<name>.protocol",
        "hooks.<name>.cron",
        "logs.sinks[].to",
        "access.write[].exec",
    ] {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
    assert!(keys.iter().all(|key| key.doc.ends_with('.') && !key.example.is_empty()));
}
