//! The protocol as JSON Schema (draft 2020-12), for people and for tools that check a plugin.
//!
//! Invariant: what the schema refuses is refused by [`super::Answer::read`]; the schema leaves to
//! that what an answer and its question must agree on.

use serde_json::{Value, json};

use super::{Key, MAX_WEIGHT, VERSION};
use crate::limits::PLUGIN_SLOTS;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What a plugin reads.
#[must_use]
pub fn question_schema() -> Value {
    let number = json!({ "type": "number", "minimum": 0 });
    let count = json!({ "type": "integer", "minimum": 0 });
    let text = json!({ "type": "string" });
    json!({
        "$schema": DRAFT,
        "title": "question to a hostctl policy plugin",
        "type": "object",
        "required": ["v", "id", "service", "backends"],
        "properties": {
            "v": { "const": VERSION },
            "id": count,
            "service": text,
            "backends": { "type": "array", "items": {
                "type": "object",
                "required": ["id", "address", "healthy", "draining", "weight"],
                "properties": {
                    "id": text,
                    "address": text,
                    "healthy": { "type": "boolean" },
                    "draining": { "type": "boolean" },
                    "weight": { "type": "integer", "minimum": 1, "maximum": MAX_WEIGHT },
                    "connections": count,
                    "rate": number,
                    "latency_ms": {
                        "type": "object",
                        "required": ["p50", "p95"],
                        "properties": { "p50": number, "p95": number },
                    },
                    "cpu": number,
                    "memory": count,
                    "labels": { "type": "object", "additionalProperties": text },
                    "version": text,
                },
            } },
        },
    })
}

/// What a plugin writes.
#[must_use]
pub fn answer_schema() -> Value {
    let id = json!({ "type": "integer", "minimum": 0 });
    let weight = json!({ "type": "integer", "minimum": 0, "maximum": MAX_WEIGHT });
    json!({
        "$schema": DRAFT,
        "title": "answer of a hostctl policy plugin",
        "oneOf": [
            {
                "type": "object",
                "required": ["id", "weights"],
                "additionalProperties": false,
                "properties": {
                    "id": id,
                    "weights": { "type": "object", "additionalProperties": weight },
                },
            },
            {
                "type": "object",
                "required": ["id", "slots"],
                "additionalProperties": false,
                "properties": {
                    "id": id,
                    "key": { "enum": Key::ALL.map(Key::word), "default": Key::Turn.word() },
                    "slots": {
                        "type": "array",
                        "items": { "type": "string" },
                        "minItems": 1,
                        "maxItems": PLUGIN_SLOTS,
                    },
                },
            },
        ],
    })
}
