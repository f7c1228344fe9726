//! A manifest's text with its overrides, every value knowing where it comes from.
//!
//! Owns the merging of layers. Invariant: the tree is always what the layers applied so far say,
//! a later one over an earlier one; tables merge, everything else replaces. A layer that fails
//! leaves the document as it was. Never decodes by itself: what a key means is said in `raw`.

mod path;
mod search;
mod set;
pub(crate) mod syntax;

use std::sync::Arc;

use crate::decode::{Decode, Decoder, Findings};
use crate::error::{Diagnostic, Diagnostics, quoted};
use crate::manifest::Manifest;
use crate::origin::Origin;
use crate::raw::{RawManifest, RawProfile};
use crate::suggest::did_you_mean;
use crate::tree::{Entry, Node, Place, SourceKind, Sources, Value};
use crate::validate;

use path::Segment;

/// One override. The order of the calls is the precedence, low to high.
#[derive(Debug, Clone, Copy)]
pub enum Layer<'a> {
    /// `[profile.NAME]` of the manifest.
    Profile(&'a str),
    /// The operator's file for the app: any top-level key but `name` and `profile`.
    DropIn {
        /// Its name, for messages.
        file: &'a str,
        /// Its content.
        text: &'a str,
    },
    /// An environment variable.
    Variable {
        /// Its full name, `HOSTCTL_SET_…`. `__` stands between segments; segments match keys in
        /// any case, with `_` for `-`; behind `ENV__` the rest is the variable's name as it is.
        name: &'a str,
        /// Its value.
        value: &'a str,
    },
    /// `key.path=value` of `--set`. The value is read as the key's type wants it: as it stands
    /// for a string, TOML for a list or a table; a list may also be its one item.
    Set(&'a str),
    /// `key.path` of `--unset`: as if the key had never been written.
    Unset(&'a str),
}

/// A manifest's text and its overrides.
#[derive(Debug, Clone)]
pub struct Document {
    root: Node,
    sources: Sources,
}

impl Document {
    /// Reads a manifest's TOML.
    ///
    /// # Errors
    /// Everything that is no TOML, or beyond a limit of [`crate::limits`].
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut sources = Sources::default();
        let root = syntax::parse(SourceKind::File(file.into()), text, &mut sources)?;
        Ok(Self { root, sources })
    }

    /// The same for a file's bytes, which may turn out not to be UTF-8.
    ///
    /// # Errors
    /// As [`Document::parse`].
    pub fn from_bytes(file: &str, bytes: &[u8]) -> Result<Self, Diagnostics> {
        let text = syntax::utf8(file, bytes)?;
        Self::parse(file, text)
    }

    /// Puts a layer over what is there.
    ///
    /// # Errors
    /// A key that does not exist, or a value that cannot be of the key's type. What the key's
    /// value may be in detail is checked by [`Document::manifest`].
    pub fn apply(&mut self, layer: Layer<'_>) -> Result<(), Diagnostics> {
        match layer {
            Layer::Profile(name) => self.apply_profile(name),
            Layer::DropIn { file, text } => self.apply_drop_in(file, text),
            Layer::Variable { name, value } => set::variable(self, name, value),
            Layer::Set(assignment) => set::assign(self, assignment),
            Layer::Unset(key) => set::unset(self, key),
        }
    }

    /// The document as typed values.
    ///
    /// # Errors
    /// Everything that is wrong, sorted by place.
    pub fn manifest(&self) -> Result<Manifest, Diagnostics> {
        let mut cx = Decoder::new(&self.sources, RawManifest::shape);
        let raw = RawManifest::decode(&self.root, &mut cx).unwrap_or_default();
        validate::manifest(&self.root, &raw, cx.findings)
    }

    /// The app's name as written, for finding what belongs to it before everything is checked.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.root.entry("name")?.node.value {
            Value::Text(name) => Some(name),
            _ => None,
        }
    }

    /// Where the value under a dotted key was written; items of a list are `key[0]`. `None` if
    /// nobody wrote it.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        let segments = path::read(key).ok()?;
        self.walk(&segments).0.filter(|_| !segments.is_empty()).map(|place| &place.origin)
    }

    /// As [`Document::origin`], or where the nearest table or list around it was written.
    #[must_use]
    pub fn nearest_origin(&self, key: &str) -> Option<&Origin> {
        let segments = path::read(key).ok()?;
        self.walk(&segments).1.map(|place| &place.origin)
    }

    /// The same diagnostic with the place of its key, and the line to look at if the key itself was
    /// written. For those who find mistakes that only a host can show.
    #[must_use]
    pub fn place(&self, diagnostic: Diagnostic) -> Diagnostic {
        let segments = path::read(&diagnostic.key).unwrap_or_default();
        let (exact, nearest) = self.walk(&segments);
        let Some(place) = nearest else { return diagnostic };
        let mut placed = diagnostic.at(place.origin.clone());
        placed.excerpt = exact.and_then(|place| self.sources.excerpt(place));
        placed
    }

    /// The place of a path if it exists, and of the last part of it that does.
    fn walk(&self, segments: &[Segment]) -> (Option<&Place>, Option<&Place>) {
        let mut node = &self.root;
        let mut nearest = None;
        for segment in segments {
            let next = match (segment, &node.value) {
                (Segment::Key(key), Value::Table(_)) => node.entry(key).map(|entry| &entry.node),
                (Segment::Item(index), Value::List(items)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(found) => node = found,
                None => return (None, nearest),
            }
            nearest = Some(&node.place);
        }
        (nearest, nearest)
    }

    fn apply_profile(&mut self, name: &str) -> Result<(), Diagnostics> {
        let defined = self.root.entry("profile").map_or(&[][..], |entry| entry.node.entries());
        let Some(profile) = defined.iter().find(|entry| entry.key == name) else {
            let names: Vec<&str> = defined.iter().map(|entry| entry.key.as_str()).collect();
            let message = format!("the manifest has no profile {}", quoted(name));
            let hint = did_you_mean(name, names.iter().copied()).unwrap_or_else(|| {
                match names.is_empty() {
                    true => format!("add a section [profile.{name}]"),
                    false => format!("it has {}", names.join(", ")),
                }
            });
            let origin = Origin::Flag { text: format!("--profile {name}").into() };
            return Err(Diagnostic::new("profile", message).with_hint(hint).at(origin).into());
        };
        let mut overlay = profile.node.clone();
        self.check_overlay(&overlay, "profile")?;
        rename_origins(&mut overlay, &name.into());
        merge(&mut self.root, overlay);
        Ok(())
    }

    fn apply_drop_in(&mut self, file: &str, text: &str) -> Result<(), Diagnostics> {
        let overlay = syntax::parse(SourceKind::DropIn(file.into()), text, &mut self.sources)?;
        self.check_overlay(&overlay, "drop-in")?;
        merge(&mut self.root, overlay);
        Ok(())
    }

    /// Refuses the keys that say which app this is.
    fn check_overlay(&self, overlay: &Node, what: &str) -> Result<(), Diagnostics> {
        let mut findings = Findings::new(&self.sources);
        for entry in overlay.entries() {
            if RawProfile::EXCLUDED.contains(&entry.key.as_str()) {
                let message = format!("a {what} cannot set {}", quoted(&entry.key));
                findings.add(&entry.key_place, entry.key.clone(), message);
            }
        }
        findings.finish().map_or(Ok(()), Err)
    }
}

/// Puts one tree over another: tables merge, everything else replaces.
fn merge(base: &mut Node, overlay: Node) {
    match (&mut base.value, overlay) {
        (Value::Table(below), Node { value: Value::Table(above), .. }) => {
            for entry in above {
                match below.iter_mut().find(|known| known.key == entry.key) {
                    Some(known) => merge(&mut known.node, entry.node),
                    None => below.push(entry),
                }
            }
        }
        (_, overlay) => *base = overlay,
    }
}

/// Marks a tree as coming from a profile.
fn rename_origins(node: &mut Node, profile: &Arc<str>) {
    rename_origin(&mut node.place, profile);
    match &mut node.value {
        Value::List(items) => {
            items.iter_mut().for_each(|item| rename_origins(item, profile));
        }
        Value::Table(entries) => {
            for Entry { key_place, node, .. } in entries {
                rename_origin(key_place, profile);
                rename_origins(node, profile);
            }
        }
        _ => {}
    }
}

fn rename_origin(place: &mut Place, profile: &Arc<str>) {
    if let Origin::File { file, line, column } = &place.origin {
        place.origin = Origin::Profile {
            name: Arc::clone(profile),
            file: Arc::clone(file),
            line: *line,
            column: *column,
        };
    }
}
