//! What operators changed about where an app's records go, beside its manifest:
//! `STATE/logs/APP/sinks.json`.
//!
//! Invariant: a sink is known by its address and its filter; what is added is not removed as well. A
//! removed sink of the manifest stays removed until it is added again, whatever is deployed. Pure: who
//! applies the changes knows the manifest's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::manifest::Sink;
use crate::sink::SinkTarget;

/// Version of the format.
pub const VERSION: u32 = 1;

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkChanges {
    /// [`VERSION`].
    pub v: u32,
    /// Sinks that instances have beside those of the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<SinkEntry>,
    /// Sinks of the manifest that instances do not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<SinkName>,
}

/// A sink that is added: the keys of `logs.sinks` in a manifest, with absolute paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkEntry {
    /// The address.
    pub to: String,
    /// Only matching records are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// For a file: the size at which a new one is begun, `10M`, or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate: Option<String>,
    /// For a file: how many earlier ones stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<u32>,
    /// For Loki: further labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// For HTTP of all kinds: further headers. Their values are secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// It also gets what is in the logs already.
    #[serde(default, skip_serializing_if = "is_off")]
    pub from_beginning: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_off(switch: &bool) -> bool {
    !switch
}

/// What a sink is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SinkName {
    /// Its address.
    pub to: String,
    /// Its filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

impl std::fmt::Display for SinkName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.when {
            Some(when) => write!(f, "{} when {when}", self.to),
            None => f.write_str(&self.to),
        }
    }
}

/// Why an entry is no sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// What becomes of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changing {
    /// It is a change.
    Done,
    /// It was so already.
    SoAlready,
    /// There is no such sink.
    Unknown,
}

impl SinkEntry {
    /// What it is known by.
    #[must_use]
    pub fn name(&self) -> SinkName {
        SinkName { to: self.to.clone(), when: self.when.clone() }
    }

    /// The sink, read by the rules of a manifest.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn sink(&self) -> Result<Sink, EntryError> {
        let failed = |message: &str, hint: Option<&str>| EntryError {
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
        };
        let read =
            Document::parse("sink", &self.manifest()).and_then(|document| document.manifest());
        let manifest = read.map_err(|errors| match errors.iter().next() {
            Some(error) => failed(&error.message, error.hint.as_deref()),
            None => failed("it is no sink", None),
        })?;
        let sink = manifest.logs.sinks.into_iter().next();
        let sink = sink.ok_or_else(|| failed("it is no sink", None))?;
        let is_relative = match &sink.to {
            SinkTarget::File(path) => !path.starts_with('/'),
            SinkTarget::Exec(_) => self.to.split_whitespace().next().is_some_and(|program| {
                let program = program.trim_start_matches("exec:");
                program.contains('/') && !program.starts_with('/')
            }),
            _ => false,
        };
        match is_relative {
            true => Err(failed(
                "its path is relative",
                Some("write it from the root, as in file:/srv/app.log"),
            )),
            false => Ok(sink),
        }
    }

    /// A manifest that has this sink and nothing else to say.
    fn manifest(&self) -> String {
        let mut text = String::from("name = \"a\"\nrun = \"true\"\n[[logs.sinks]]\n");
        let mut put =
            |key: &str, value: &str| text.push_str(&format!("{key} = {}\n", quoted(value)));
        put("to", &self.to);
        for (key, value) in [("when", &self.when), ("rotate", &self.rotate)] {
            if let Some(value) = value {
                put(key, value);
            }
        }
        if let Some(copies) = self.copies {
            text.push_str(&format!("copies = {copies}\n"));
        }
        for (key, pairs) in [("labels", &self.labels), ("headers", &self.headers)] {
            let pairs =
                pairs.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value)));
            let pairs: Vec<String> = pairs.collect();
            if !pairs.is_empty() {
                text.push_str(&format!("{key} = {{ {} }}\n", pairs.join(", ")));
            }
        }
        text
    }
}

/// A TOML basic string (TOML 1.0, section String).
fn quoted(text: &str) -> String {
    // JSON's escapes are TOML's; only DEL, which JSON leaves as it is, must be escaped too.
    serde_json::Value::from(text).to_string().replace('\x7f', "\\u007F")
}

impl Default for SinkChanges {
    fn default() -> Self {
        Self { v: VERSION, added: Vec::new(), removed: Vec::new() }
    }
}

impl SinkChanges {
    /// Add a sink, or change one that was added. Whether it is the manifest's own is in `declared`.
    pub fn add(&mut self, entry: SinkEntry, declared: &[SinkName]) -> Changing {
        let name = entry.name();
        let was_removed = self.removed.contains(&name);
        self.removed.retain(|one| *one != name);
        if declared.contains(&name) {
            return if was_removed { Changing::Done } else { Changing::SoAlready };
        }
        match self.added.iter_mut().find(|one| one.name() == name) {
            Some(known) if *known == entry => Changing::SoAlready,
            Some(known) => {
                *known = entry;
                Changing::Done
            }
            None => {
                self.added.push(entry);
                Changing::Done
            }
        }
    }

    /// Take a sink away: one that was added, or one of the manifest's own, which are `declared`.
    pub fn remove(&mut self, name: &SinkName, declared: &[SinkName]) -> Changing {
        let before = self.added.len();
        self.added.retain(|one| one.name() != *name);
        if self.added.len() < before {
            return Changing::Done;
        }
        match (declared.contains(name), self.removed.contains(name)) {
            (_, true) => Changing::SoAlready,
            (true, false) => {
                self.removed.push(name.clone());
                Changing::Done
            }
            (false, false) => Changing::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Rotate;
    use crate::quantity::Bytes;

    fn entry(to: &str) -> SinkEntry {
        SinkEntry { to: to.to_owned(), ..SinkEntry::default() }
    }

    #[test]
    fn an_entry_is_read_by_the_rules_of_a_manifest() {
        let mut file = entry("file:/var/log/a \"b\".log");
        file.when = Some("level>=warn and path!=\"/health\"".into());
        file.rotate = Some("10M".into());
        file.copies = Some(3);
        let sink = file.sink().expect("it is one");
        assert_eq!(sink.to, SinkTarget::File("/var/log/a \"b\".log".into()));
        assert_eq!((sink.rotate, sink.copies), (Some(Rotate::At(Bytes(10 << 20))), Some(3)));
        assert_eq!(sink.when.expect("there").to_string(), "level>=warn and path!=\"/health\"");
        let mut loki = entry("loki+https://logs.example.com");
        loki.labels.insert("team".into(), "a\nb".into());
        assert!(loki.sink().expect_err("two lines").message.contains("one line"));
        loki.labels.insert("team".into(), "pay = 1 }".into());
        loki.headers.insert("Authorization".into(), "Bearer x".into());
        let sink = loki.sink().expect("it is one");
        assert_eq!(sink.labels, [("team".to_owned(), "pay = 1 }".to_owned())]);
        for (wrong, part) in [
            (entry("jornal"), "sink"),
            (entry("file:app.log"), "relative"),
            (entry("exec:./ship"), "relative"),
            (SinkEntry { when: Some("level".into()), ..entry("journal") }, "filter"),
            (SinkEntry { copies: Some(2), ..entry("journal") }, "only file: sinks keep copies"),
        ] {
            let error = wrong.sink().expect_err(&wrong.to);
            assert!(error.message.contains(part), "{}: {}", wrong.to, error.message);
        }
    }

    #[test]
    fn changes_know_a_sink_by_its_address_and_filter() {
        let declared = [entry("journal").name()];
        let mut changes = SinkChanges::default();
        let mut filtered = entry("journal");
        filtered.when = Some("level>=error".into());
        assert_eq!(changes.add(entry("journal"), &declared), Changing::SoAlready);
        assert_eq!(changes.add(filtered.clone(), &declared), Changing::Done);
        assert_eq!(changes.add(filtered.clone(), &declared), Changing::SoAlready);
        assert_eq!(changes.remove(&entry("journal").name(), &declared), Changing::Done);
        assert_eq!(changes.remove(&entry("journal").name(), &declared), Changing::SoAlready);
        assert_eq!(changes.remove(&entry("http://a").name(), &declared), Changing::Unknown);
        let text = serde_json::to_string(&changes).expect("it is JSON");
        assert_eq!(
            text,
            r#"{"v":1,"added":[{"to":"journal","when":"level>=error"}],"removed":[{"to":"journal"}]}"#
        );
        assert_eq!(serde_json::from_str::<SinkChanges>(&text).expect("its own"), changes);
        assert_eq!(changes.add(entry("journal"), &declared), Changing::Done);
        assert_eq!(changes.remove(&filtered.name(), &declared), Changing::Done);
        assert_eq!(changes, SinkChanges::default());
    }
}
