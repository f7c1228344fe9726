//! The format described for people and editors: the JSON Schema and the reference of keys.
//!
//! Owns nothing of the format: both are made from the shapes of the decoders. Invariant: a
//! manifest that decodes is accepted by the schema; the schema checks form, and leaves to
//! `validate` what values must agree on.

use serde_json::{Map, Value, json};

use crate::decode::Decode;
use crate::limits;
use crate::raw::{RawManifest, RawService};
use crate::shape::{FieldShape, Shape, TableShape, TextShape};
use crate::suggest;

/// One row of the key reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDoc {
    /// `access.read`, `ports.<name>.protocol`, `logs.sinks[].to`.
    pub path: String,
    /// What its value is: `a size such as "512M"`.
    pub kind: String,
    /// What holds without it, in words.
    pub default: String,
    /// One sentence.
    pub doc: String,
    /// A TOML value.
    pub example: String,
}

/// The keys a manifest with `[services]` may have at the top level.
pub(crate) const SHARED_KEYS: [&str; 7] =
    ["name", "env", "logs", "services", "hooks", "policies", "profile"];

/// What a field's default says when there is none.
const REQUIRED: &str = "required";

/// The JSON Schema (draft 2020-12) of the manifest.
#[must_use]
pub fn schema() -> Value {
    let mut defs = Map::new();
    let Shape::Table(table) = RawManifest::shape() else { return Value::Null };
    let mut root = Map::new();
    root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".to_owned(), json!("hostctl manifest"));
    root.append(&mut table_schema(&table, false, &mut defs));
    root.insert("required".to_owned(), json!(["name"]));
    root.insert(
        "oneOf".to_owned(),
        json!([
            {
                "title": "one service, at the top level",
                "required": ["run"],
                "not": { "required": ["services"] },
            },
            {
                "title": "several services",
                "required": ["services"],
                "propertyNames": { "enum": SHARED_KEYS },
            },
        ]),
    );
    root.insert("$defs".to_owned(), Value::Object(defs));
    Value::Object(root)
}

/// The schema of a table; in `partial` ones, which override, nothing is required.
fn table_schema(
    table: &TableShape,
    partial: bool,
    defs: &mut Map<String, Value>,
) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in &table.fields {
        let is_override = partial || field.name == "profile";
        properties.insert(field.name.to_owned(), field_schema(field, is_override, defs));
        if field.default == REQUIRED && !partial {
            required.push(json!(field.name));
        }
    }
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    object.insert("description".to_owned(), json!(table.doc));
    object.insert("properties".to_owned(), Value::Object(properties));
    object.insert("additionalProperties".to_owned(), json!(false));
    if !required.is_empty() {
        object.insert(REQUIRED.to_owned(), Value::Array(required));
    }
    object
}

fn field_schema(field: &FieldShape, partial: bool, defs: &mut Map<String, Value>) -> Value {
    let mut value = shape_schema(&field.shape, partial, defs);
    if let Value::Object(object) = &mut value {
        object.insert("description".to_owned(), json!(described(field)));
    }
    value
}

/// The doc of a key, with what each word of a choice means and what holds without the key.
fn described(field: &FieldShape) -> String {
    let mut text = field.doc.to_owned();
    if let Shape::Choice(words) = &field.shape {
        for (word, meaning) in *words {
            text.push_str(&format!(" \"{word}\": {meaning}."));
        }
    }
    if field.default != REQUIRED {
        text.push_str(&format!(" Default: {}.", field.default));
    }
    text
}

fn shape_schema(shape: &Shape, partial: bool, defs: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Integer { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Shape::Text(text) => text_schema(text),
        Shape::Choice(words) => {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            json!({ "type": "string", "enum": words })
        }
        Shape::List(item) => {
            let items = shape_schema(item, partial, defs);
            json!({ "type": "array", "items": items, "maxItems": limits::ENTRIES })
        }
        Shape::Map { key, value } => json!({
            "type": "object",
            "propertyNames": { "pattern": key.pattern },
            "additionalProperties": shape_schema(value, partial, defs),
            "maxProperties": limits::ENTRIES,
        }),
        Shape::Either(shapes) => {
            let forms: Vec<Value> =
                shapes.iter().map(|shape| shape_schema(shape, partial, defs)).collect();
            json!({ "anyOf": forms })
        }
        Shape::Table(table) => {
            let plain = table.name.trim_start_matches("Raw");
            let name = if partial { format!("{plain}Override") } else { plain.to_owned() };
            if !defs.contains_key(&name) {
                // Reserved first: a table that holds itself would never end.
                defs.insert(name.clone(), Value::Null);
                let schema = table_schema(table, partial, defs);
                defs.insert(name.clone(), Value::Object(schema));
            }
            json!({ "$ref": format!("#/$defs/{name}") })
        }
    }
}

fn text_schema(text: &TextShape) -> Value {
    let mut object = json!({ "type": "string", "maxLength": limits::STRING_BYTES });
    if let Some(pattern) = text.pattern {
        object["pattern"] = json!(pattern);
    }
    if !text.examples.is_empty() {
        object["examples"] = json!(text.examples);
    }
    object
}

/// Every key of the manifest, once: a service's keys stand at the top level, where the short form
/// has them, and are the same below `services.<name>`.
#[must_use]
pub fn keys() -> Vec<KeyDoc> {
    let mut rows = Vec::new();
    let known = ["RawProfile", RawService::shape().table().map_or("", |table| table.name)];
    if let Shape::Table(table) = RawManifest::shape() {
        rows_of(&table, "", &known, &mut rows);
    }
    rows
}

fn rows_of(table: &TableShape, path: &str, known: &[&str], rows: &mut Vec<KeyDoc>) {
    for field in &table.fields {
        let path =
            if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
        rows.push(KeyDoc {
            path: path.clone(),
            kind: field.shape.expected(),
            default: field.default.to_owned(),
            doc: field.doc.to_owned(),
            example: field.example.to_owned(),
        });
        // The main port's table is the one below `ports.<name>`.
        if field.name != "port" {
            inner_rows(&field.shape, path, known, rows);
        }
    }
}

fn inner_rows(shape: &Shape, path: String, known: &[&str], rows: &mut Vec<KeyDoc>) {
    for shape in shape.alternatives() {
        match shape {
            Shape::Table(table) if !known.contains(&table.name) => {
                rows_of(table, &path, known, rows);
            }
            Shape::List(item) => inner_rows(item, format!("{path}[]"), known, rows),
            Shape::Map { value, .. } => inner_rows(value, format!("{path}.<name>"), known, rows),
            _ => {}
        }
    }
}

/// Where a key that is unknown in one table would be right, as a hint.
pub(crate) fn home(root: &Shape, key: &str) -> Option<String> {
    root.table().and_then(|table| home_of(table, "", key))
}

/// The same among the tables inside one that stands at `path`.
pub(crate) fn home_of(table: &TableShape, path: &str, key: &str) -> Option<String> {
    let nearest = |key: &str| {
        let mut homes = Vec::new();
        homes_in(table, path, key, &mut homes);
        homes.into_iter().min_by_key(|home| home.matches('.').count()).map(|home| {
            if home.is_empty() { "at the top level".to_owned() } else { format!("in [{home}]") }
        })
    };
    if let Some(home) = nearest(key) {
        return Some(format!("\"{key}\" belongs {home}"));
    }
    let ours = suggest::foreign(key)?;
    Some(format!("hostctl calls it \"{ours}\", {}", nearest(ours)?))
}

/// The paths of the tables that have a key.
fn homes_in(table: &TableShape, path: &str, key: &str, homes: &mut Vec<String>) {
    for field in &table.fields {
        if field.name == key {
            homes.push(path.to_owned());
        }
        let below =
            if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
        match &field.shape {
            Shape::Table(inner) => homes_in(inner, &below, key, homes),
            Shape::Map { value, .. } => {
                if let Shape::Table(inner) = &**value {
                    homes_in(inner, &format!("{below}.<name>"), key, homes);
                }
            }
            _ => {}
        }
    }
}
