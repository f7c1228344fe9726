//! Single overrides: `--set`, `--unset` and `HOSTCTL_SET_…`, typed by the schema.
//!
//! Invariant: what the text of a value becomes is decided by the key's shape: `1` is a number for
//! `count` and a string for a variable.

use super::search::{Search, Target, joined};
use super::{Document, syntax};
use crate::error::{Diagnostic, Diagnostics};
use crate::limits;
use crate::origin::Origin;
use crate::shape::Shape;
use crate::tree::{Entry, Locator, Node, Place, SourceKind, Value};

/// What every override variable's name starts with.
const PREFIX: &str = "HOSTCTL_SET_";

/// `HOSTCTL_SET_SERVICES__WEB__COUNT=3`.
pub(super) fn variable(
    document: &mut Document,
    name: &str,
    value: &str,
) -> Result<(), Diagnostics> {
    let search = Search { document, loose: true, origin: Origin::Variable { name: name.into() } };
    let suffix = name.strip_prefix(PREFIX).unwrap_or_default();
    let segments: Vec<&str> = suffix.split("__").collect();
    if suffix.is_empty() || segments.contains(&"") {
        let hint = format!("write {PREFIX}PORT, or {PREFIX}LIMITS__MEMORY for limits.memory");
        let one = Diagnostic::new("", "the variable's name holds no key").with_hint(hint);
        return Err(search.fail(one));
    }
    let target = search.find(&segments)?;
    put(document, target, SourceKind::Variable(name.into()), value)
}

/// `--set key.path=value`.
pub(super) fn assign(document: &mut Document, text: &str) -> Result<(), Diagnostics> {
    let flag = format!("--set {text}");
    let search = Search::of_flag(document, &flag);
    let Some((key, value)) = text.split_once('=') else {
        let one = Diagnostic::new("", "expected key=value").with_hint("write --set port=9000");
        return Err(search.fail(one));
    };
    let keys = search.plain_keys(key.trim(), "--set")?;
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let target = search.find(&keys)?;
    put(document, target, SourceKind::Flag(flag.as_str().into()), value)
}

/// `--unset key.path`.
pub(super) fn unset(document: &mut Document, key: &str) -> Result<(), Diagnostics> {
    let search = Search::of_flag(document, &format!("--unset {key}"));
    let keys = search.plain_keys(key.trim(), "--unset")?;
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let keys = search.find(&names)?.keys;
    let Some((last, parents)) = keys.split_last() else { return Ok(()) };
    let mut node = &mut document.root;
    for parent in parents {
        let Value::Table(entries) = &mut node.value else { return Ok(()) };
        match entries.iter_mut().find(|entry| entry.key == *parent) {
            Some(entry) => node = &mut entry.node,
            None => return Ok(()),
        }
    }
    if let Value::Table(entries) = &mut node.value {
        entries.retain(|entry| entry.key != *last);
    }
    Ok(())
}

/// Writes a value where the target is, making the tables on the way.
fn put(
    document: &mut Document,
    target: Target,
    kind: SourceKind,
    text: &str,
) -> Result<(), Diagnostics> {
    let origin = match &kind {
        SourceKind::Variable(name) => Origin::Variable { name: name.clone() },
        SourceKind::File(text) | SourceKind::DropIn(text) | SourceKind::Flag(text) => {
            Origin::Flag { text: text.clone() }
        }
    };
    let key = joined(&target.keys);
    if text.len() > limits::STRING_BYTES {
        return Err(Diagnostic::new(key, "a value of more than 64K bytes").at(origin).into());
    }
    let node = typed(document, &target.shape, kind, text).map_err(|all| {
        let named = all.into_iter().map(|one| Diagnostic { key: key.clone(), ..one }).collect();
        Diagnostics::new(named).unwrap_or_else(|| Diagnostic::new(key.clone(), "no value").into())
    })?;
    let place = node.place.clone();
    let mut slot = &mut document.root;
    for (depth, name) in target.keys.iter().enumerate() {
        slot = child(slot, name, &place).ok_or_else(|| {
            let parent = target.keys[..depth].join(".");
            let hint = format!("override all of it: --set '{parent}={{ … }}'");
            Diagnostic::new(key.clone(), format!("{parent} is no table here"))
                .with_hint(hint)
                .at(origin.clone())
        })?;
    }
    *slot = node;
    Ok(())
}

/// The value under a key of a table, an empty table if it is new; `None` if there is no table.
fn child<'a>(node: &'a mut Node, key: &str, place: &Place) -> Option<&'a mut Node> {
    let Value::Table(entries) = &mut node.value else { return None };
    let at = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        let node = Node { value: Value::Table(Vec::new()), place: place.clone() };
        entries.push(Entry { key: key.to_owned(), key_place: place.clone(), node });
        entries.len() - 1
    });
    Some(&mut entries[at].node)
}

/// A text as the shape wants it. What fits no form stays a string: its error is the decoder's.
fn typed(
    document: &mut Document,
    shape: &Shape,
    kind: SourceKind,
    text: &str,
) -> Result<Node, Diagnostics> {
    let opening = text.trim_start().chars().next();
    let wants = |test: fn(&Shape) -> bool| shape.alternatives().iter().any(test);
    let is_list = wants(|shape| matches!(shape, Shape::List(_)));
    let is_table = wants(|shape| matches!(shape, Shape::Table(_) | Shape::Map { .. }));
    if is_list && opening == Some('[') || is_table && opening == Some('{') {
        return syntax::parse_value(kind, text, &mut document.sources);
    }
    let is_text = wants(|shape| matches!(shape, Shape::Text(_) | Shape::Choice(_)));
    if let Shape::List(item) = shape {
        // A list of one is written as the one: it can mean nothing else.
        let node = typed(document, item, kind, text)?;
        let place = node.place.clone();
        return Ok(Node { value: Value::List(vec![node]), place });
    }
    let trimmed = text.trim();
    let value = if wants(|shape| matches!(shape, Shape::Integer { .. })) {
        trimmed.parse().ok().map(Value::Integer)
    } else if wants(|shape| matches!(shape, Shape::Boolean)) {
        trimmed.parse().ok().map(Value::Boolean)
    } else {
        None
    };
    let value = value.filter(|_| !is_text || !trimmed.is_empty());
    let source = document.sources.add(kind.clone(), text);
    let place = Locator::new(kind, source, text).place(0, text.len());
    Ok(Node { value: value.unwrap_or_else(|| Value::Text(text.to_owned())), place })
}
