//! Finding the key an override means, in the format and in the document.
//!
//! Invariant: what is found exists in the format, and a section of the author's (a service, a
//! hook) also in the document: an override never makes one up.

use super::Document;
use super::path::{self, Segment};
use crate::decode::{Decode, Text, push_segment};
use crate::error::{Diagnostic, Diagnostics, quoted};
use crate::origin::Origin;
use crate::raw::RawManifest;
use crate::raw::env::EnvName;
use crate::schema;
use crate::shape::Shape;
use crate::suggest::did_you_mean;
use crate::tree::Node;

/// A key that an override may reach.
pub(super) struct Target {
    pub(super) keys: Vec<String>,
    pub(super) shape: Shape,
}

/// One search of a key through the format and the document.
pub(super) struct Search<'a> {
    pub(super) document: &'a Document,
    /// Variables' names have one case and no hyphens.
    pub(super) loose: bool,
    /// The override itself.
    pub(super) origin: Origin,
}

impl<'a> Search<'a> {
    pub(super) fn of_flag(document: &'a Document, flag: &str) -> Self {
        Self { document, loose: false, origin: Origin::Flag { text: flag.into() } }
    }

    pub(super) fn fail(&self, one: Diagnostic) -> Diagnostics {
        one.at(self.origin.clone()).into()
    }

    /// The keys of a path; an item of a list cannot be overridden alone.
    pub(super) fn plain_keys(&self, path: &str, flag: &str) -> Result<Vec<String>, Diagnostics> {
        let segments = path::read(path).map_err(|why| {
            let message = format!("expected a key such as limits.memory, found {why}");
            self.fail(Diagnostic::new("", message))
        })?;
        let mut keys = Vec::with_capacity(segments.len());
        for segment in segments {
            match segment {
                Segment::Key(key) => keys.push(key),
                Segment::Item(_) => {
                    let list = keys.join(".");
                    let hint = match flag {
                        "--set" => format!("write the whole list: --set '{list}=[…]'"),
                        _ => format!("write the list without it: --set '{list}=[…]'"),
                    };
                    let message = "one item of a list cannot be overridden";
                    return Err(self.fail(Diagnostic::new(list, message).with_hint(hint)));
                }
            }
        }
        Ok(keys)
    }

    fn matches(&self, known: &str, word: &str) -> bool {
        let folded = |c: char| if c == '-' { '_' } else { c.to_ascii_lowercase() };
        known == word || self.loose && known.chars().map(folded).eq(word.chars().map(folded))
    }

    pub(super) fn find(&self, words: &[&str]) -> Result<Target, Diagnostics> {
        let mut shape = RawManifest::shape();
        let mut node = Some(&self.document.root);
        let mut keys: Vec<String> = Vec::new();
        for (depth, word) in words.iter().enumerate() {
            let path = joined(&keys);
            if let Shape::Map { key, value } = &shape
                && key.pattern == EnvName::SHAPE.pattern
            {
                // A variable's own name may hold the separator, so it takes all that is left.
                keys.push(words[depth..].join(if self.loose { "__" } else { "." }));
                return Ok(Target { keys, shape: (**value).clone() });
            }
            let (key, next) = self.step(&shape, node, &path, word)?;
            if path.is_empty() && key == "profile" {
                let one = Diagnostic::new("profile", "a profile cannot be overridden");
                return Err(self.fail(one.with_hint("override the key itself")));
            }
            node = node.and_then(|node| node.entry(&key)).map(|entry| &entry.node);
            keys.push(key);
            shape = next;
        }
        Ok(Target { keys, shape })
    }

    /// The key of one table that a word means, and the shape behind it.
    fn step(
        &self,
        shape: &Shape,
        node: Option<&Node>,
        path: &str,
        word: &str,
    ) -> Result<(String, Shape), Diagnostics> {
        for shape in shape.alternatives() {
            match shape {
                Shape::Table(table) => {
                    let field = table.fields.iter().find(|field| self.matches(field.name, word));
                    return match field {
                        Some(field) => Ok((field.name.to_owned(), field.shape.clone())),
                        None => {
                            let names = table.fields.iter().map(|field| field.name);
                            Err(self.fail(unknown(path, word, names.collect())))
                        }
                    };
                }
                Shape::Map { value, .. } => {
                    let name = self.name(node, path, word, value)?;
                    return Ok((name, (**value).clone()));
                }
                _ => {}
            }
        }
        Err(self.fail(Diagnostic::new(path, format!("this key has no part {}", quoted(word)))))
    }

    /// The name of an author's section: one that exists, or a new one where a short form of it
    /// is complete by itself.
    fn name(
        &self,
        node: Option<&Node>,
        path: &str,
        word: &str,
        value: &Shape,
    ) -> Result<String, Diagnostics> {
        let known = node.map_or(&[][..], Node::entries);
        if let Some(entry) = known.iter().find(|entry| self.matches(&entry.key, word)) {
            return Ok(entry.key.clone());
        }
        match value {
            Shape::Table(_) => {
                let names = known.iter().map(|entry| entry.key.as_str());
                Err(self.fail(unknown(path, word, names.collect())))
            }
            _ if self.loose => Ok(word.to_ascii_lowercase()),
            _ => Ok(word.to_owned()),
        }
    }
}

fn unknown(path: &str, word: &str, names: Vec<&str>) -> Diagnostic {
    let mut key = path.to_owned();
    push_segment(&mut key, word);
    let what = match path {
        "services" => "the manifest has no such service",
        "hooks" => "the manifest has no such hook",
        "policies" => "the manifest has no such policy",
        _ => "unknown key",
    };
    let hint = did_you_mean(word, names.iter().copied())
        .or_else(|| schema::home(&RawManifest::shape(), word));
    let one = Diagnostic::new(key, what);
    match hint {
        Some(hint) => one.with_hint(hint),
        None if names.is_empty() => one,
        None => {
            let kind = if what == "unknown key" { "keys here" } else { path };
            one.with_hint(format!("the {kind} are {}", names.join(", ")))
        }
    }
}

/// A path in dotted form.
pub(super) fn joined(keys: &[String]) -> String {
    keys.iter().fold(String::new(), |mut path, key| {
        push_segment(&mut path, key);
        path
    })
}
