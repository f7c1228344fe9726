//! JSON Schema, as far as ours use it.

use serde_json::{Value, json};

/// The part of draft 2020-12 that the schema uses, without patterns.
pub(crate) struct Checker<'a> {
    /// What references start at.
    pub(crate) root: &'a Value,
}

impl Checker<'_> {
    /// Whether the value has the form that the schema describes.
    pub(crate) fn accepts(&self, schema: &Value, value: &Value) -> bool {
        let Some(rules) = schema.as_object() else { return schema.as_bool().unwrap_or(false) };
        rules.iter().all(|(rule, argument)| self.obeys(rule, argument, schema, value))
    }

    fn obeys(&self, rule: &str, argument: &Value, schema: &Value, value: &Value) -> bool {
        let accepts = |one: &Value| self.accepts(one, value);
        let list = || argument.as_array().expect("a list of schemas").iter();
        match rule {
            "$ref" => {
                let pointer = argument.as_str().expect("a reference").trim_start_matches('#');
                accepts(self.root.pointer(pointer).expect("the reference leads somewhere"))
            }
            "type" => match argument.as_str().expect("one type") {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64(),
                "number" => value.is_number(),
                "boolean" => value.is_boolean(),
                other => panic!("unknown type {other}"),
            },
            "enum" => list().any(|one| one == value),
            "minimum" => value.as_i64().is_none_or(|n| n >= argument.as_i64().expect("a bound")),
            "maximum" => value.as_i64().is_none_or(|n| n <= argument.as_i64().expect("a bound")),
            "minItems" => value
                .as_array()
                .is_none_or(|all| all.len() as u64 >= argument.as_u64().expect("a bound")),
            "maxItems" => value
                .as_array()
                .is_none_or(|all| all.len() as u64 <= argument.as_u64().expect("a bound")),
            "anyOf" => list().any(accepts),
            "oneOf" => list().filter(|one| self.accepts(one, value)).count() == 1,
            "not" => !accepts(argument),
            "required" => list().all(|key| value.get(key.as_str().expect("a key")).is_some()),
            "items" => {
                value.as_array().is_none_or(|all| all.iter().all(|one| self.accepts(argument, one)))
            }
            "propertyNames" => value
                .as_object()
                .is_none_or(|all| all.keys().all(|key| self.accepts(argument, &json!(key)))),
            "properties" => value.as_object().is_none_or(|all| {
                all.iter()
                    .all(|(key, one)| argument.get(key).is_none_or(|rule| self.accepts(rule, one)))
            }),
            "additionalProperties" => value.as_object().is_none_or(|all| {
                let known = |key: &str| schema["properties"].get(key).is_some();
                all.iter()
                    .filter(|(key, _)| !known(key))
                    .all(|(_, one)| self.accepts(argument, one))
            }),
            "$schema" | "$defs" | "title" | "description" | "examples" | "pattern"
            | "maxLength" | "maxProperties" => true,
            other => panic!("the checker does not know {other}"),
        }
    }
}
