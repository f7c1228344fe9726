//! The description of hostd's API, and whether a value is what it says.
//!
//! Invariant: a rule that is not known here fails a test: nothing is taken for kept that was not
//! looked at. What a schema does not name is refused, so that the description can't fall behind.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// `manifest-spec/api/openapi.json`.
#[derive(Debug)]
pub struct Description(Value);

impl Description {
    /// Read it.
    pub fn read() -> Description {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifest-spec/api/openapi.json");
        Description(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    }

    /// Every operation by its name.
    pub fn operations(&self) -> BTreeSet<String> {
        self.all().map(|(.., one)| one["operationId"].as_str().unwrap().to_owned()).collect()
    }

    fn all(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        let operations = paths.flat_map(|(path, all)| {
            all.as_object().unwrap().iter().map(move |(method, one)| (&**path, &**method, one))
        });
        operations.filter(|(_, method, _)| *method != "parameters")
    }

    fn operation(&self, name: &str) -> (&str, &str, &Value) {
        let mut all = self.all();
        all.find(|(.., one)| one["operationId"] == name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Method and path of an operation.
    pub fn place(&self, operation: &str) -> (String, String) {
        let (path, method, _) = self.operation(operation);
        (method.to_uppercase(), path.to_owned())
    }

    /// An answer, or one line of it, is what the description says for its status.
    #[track_caller]
    pub fn holds_answer(&self, operation: &str, status: u16, value: &Value) {
        let responses = &self.operation(operation).2["responses"];
        let said = responses.get(status.to_string()).unwrap_or(&responses["default"]);
        self.holds(self.schema(self.meant(said)), value, &format!("{operation} {status}"));
    }

    /// A request that was taken is what the description says.
    #[track_caller]
    pub fn holds_request(&self, operation: &str, value: &Value) {
        let said = &self.operation(operation).2["requestBody"];
        self.holds(self.schema(self.meant(said)), value, operation);
    }

    fn schema<'a>(&'a self, body: &'a Value) -> &'a Value {
        let kinds = body["content"].as_object().unwrap_or_else(|| panic!("no content in {body}"));
        &kinds.values().next().unwrap()["schema"]
    }

    /// What a reference leads to.
    fn meant<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(path) => self.meant(self.0.pointer(path.trim_start_matches('#')).unwrap()),
            None => value,
        }
    }

    #[track_caller]
    fn holds(&self, schema: &Value, value: &Value, place: &str) {
        if let Err(why) = self.check(schema, value, place) {
            panic!("{why}");
        }
    }

    fn check(&self, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
        let rules = schema.as_object().unwrap_or_else(|| panic!("{place}: no schema: {schema}"));
        for (rule, argument) in rules {
            let holds = match rule.as_str() {
                "description" | "title" | "examples" => true,
                "$ref" => {
                    self.check(self.meant(schema), value, place)?;
                    true
                }
                "type" => is(argument.as_str().unwrap(), value),
                "enum" => argument.as_array().unwrap().contains(value),
                "minimum" => value.as_i64().is_none_or(|one| one >= argument.as_i64().unwrap()),
                "maximum" => value.as_i64().is_none_or(|one| one <= argument.as_i64().unwrap()),
                "minItems" => length(value).is_none_or(|one| one >= argument.as_u64().unwrap()),
                "maxItems" => length(value).is_none_or(|one| one <= argument.as_u64().unwrap()),
                "anyOf" => {
                    let any = argument.as_array().unwrap().iter();
                    any.into_iter().any(|one| self.check(one, value, place).is_ok())
                }
                "items" => {
                    for (number, one) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(argument, one, &format!("{place}[{number}]"))?;
                    }
                    true
                }
                "required" => {
                    let keys = argument.as_array().unwrap();
                    keys.iter().all(|key| value.get(key.as_str().unwrap()).is_some())
                }
                "properties" => {
                    for (key, one) in value.as_object().into_iter().flatten() {
                        let place = format!("{place}.{key}");
                        let rule = argument.get(key).ok_or(format!("{place} is not described"))?;
                        self.check(rule, one, &place)?;
                    }
                    true
                }
                other => panic!("{place}: the rule {other} is not known"),
            };
            if !holds {
                return Err(format!("{place}: {value} is not {rule} {argument}"));
            }
        }
        Ok(())
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        other => panic!("the type {other} is not known"),
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_array().map(|all| all.len() as u64)
}
