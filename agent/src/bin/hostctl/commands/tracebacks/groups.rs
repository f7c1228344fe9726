//! Stack traces and crashes by their fingerprints.
//!
//! Invariant: pure; one record of each group is kept, so memory grows with kinds, not with numbers.

use std::collections::{BTreeMap, BTreeSet};

use agent::logs::read::when;
use manifest_spec::api::LogLine;
use manifest_spec::log::attribute;
use serde_json::{Value, json};

/// All that are the same.
#[derive(Debug)]
pub struct Group {
    pub fingerprint: String,
    pub count: u64,
    versions: BTreeSet<u64>,
    first: (u64, String),
    last: (u64, String),
    example: LogLine,
}

/// Every group, by app, service and fingerprint: the same trace in two services is two matters.
#[derive(Debug, Default)]
pub struct Groups(BTreeMap<(String, String, String), Group>);

impl Groups {
    /// Take a record in, if it is one of a trace or a crash.
    pub fn take(&mut self, line: &LogLine) {
        let Some(fingerprint) = text(line, attribute::EXCEPTION_FINGERPRINT) else { return };
        let time = (when::recorded(&line.ts).unwrap_or_default(), line.ts.clone());
        let key = (line.app.clone(), line.service.clone(), fingerprint.to_owned());
        let group = self.0.entry(key).or_insert_with(|| Group {
            fingerprint: fingerprint.to_owned(),
            count: 0,
            versions: BTreeSet::new(),
            first: time.clone(),
            last: time.clone(),
            example: line.clone(),
        });
        // Parts of one trace that was too long are one; what follows its first part is no other.
        if line.attributes.get(attribute::PART).and_then(Value::as_u64).unwrap_or(0) > 0 {
            return;
        }
        group.count += 1;
        group.versions.extend(line.version);
        if time.0 < group.first.0 {
            group.first = time.clone();
        }
        if time.0 >= group.last.0 {
            group.last = time;
            group.example = line.clone();
        }
    }

    /// The most recent first.
    pub fn sorted(self) -> Vec<Group> {
        let mut all: Vec<Group> = self.0.into_values().collect();
        all.sort_by_key(|group| std::cmp::Reverse(group.last.0));
        all
    }

    /// All of them for programs.
    pub fn json(all: &[Group]) -> Value {
        json!({ "v": 1, "groups": all.iter().map(Group::json).collect::<Vec<_>>() })
    }
}

impl Group {
    pub fn first(&self) -> u64 {
        self.first.0
    }

    pub fn last(&self) -> u64 {
        self.last.0
    }

    pub fn example(&self) -> &LogLine {
        &self.example
    }

    /// Whether a signal ended the program.
    pub fn is_crash(&self) -> bool {
        text(&self.example, attribute::EXCEPTION_LANGUAGE) == Some("signal")
    }

    /// The service.
    pub fn place(&self) -> String {
        format!("{}.{}", self.example.app, self.example.service)
    }

    /// The kind, and what the last one said.
    pub fn what(&self) -> String {
        let kind = text(&self.example, attribute::EXCEPTION_TYPE).unwrap_or("exception");
        match text(&self.example, attribute::EXCEPTION_MESSAGE) {
            Some(message) if !message.is_empty() => format!("{kind}: {message}"),
            _ => kind.to_owned(),
        }
    }

    /// `3`, `3 to 5`, `-` for what was never deployed.
    pub fn versions_in_words(&self) -> String {
        match (self.versions.first(), self.versions.last()) {
            (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
            (Some(one), _) => one.to_string(),
            _ => "-".to_owned(),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let of = |name: &str| text(&self.example, name);
        json!({
            "fingerprint": self.fingerprint,
            "app": self.example.app,
            "service": self.example.service,
            "type": of(attribute::EXCEPTION_TYPE),
            "message": of(attribute::EXCEPTION_MESSAGE),
            "language": of(attribute::EXCEPTION_LANGUAGE),
            "count": self.count,
            "first": self.first.1,
            "last": self.last.1,
            "versions": self.versions,
            "example": self.example,
        })
    }
}

fn text<'a>(line: &'a LogLine, name: &str) -> Option<&'a str> {
    line.attributes.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64, version: u64, fingerprint: &str, more: Value) -> LogLine {
        let mut attributes = json!({
            "stream": "stderr", "exception.type": "ValueError", "exception.message": format!("no {seq}"),
            "exception.fingerprint": fingerprint, "exception.language": "python",
        });
        attributes.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        serde_json::from_value(json!({
            "v": 1, "app": "shop", "service": "web", "instance": 1, "version": version,
            "host": "h", "boot_id": "b", "started": "2026-11-27T09:00:00Z",
            "seq": seq, "ts": format!("2026-11-27T09:00:{seq:02}Z"), "severity": "error",
            "body": "Traceback", "attributes": attributes,
        }))
        .unwrap()
    }

    #[test]
    fn the_same_trace_is_one_group_and_the_last_of_it_the_example() {
        let mut groups = Groups::default();
        for one in [
            line(2, 3, "aa", json!({})),
            line(1, 2, "aa", json!({})),
            line(3, 3, "bb", json!({ "part": 0, "last_part": false })),
            line(4, 3, "bb", json!({ "part": 1, "last_part": true })),
        ] {
            groups.take(&one);
        }
        let mut other = line(9, 3, "aa", json!({ "exception.language": "signal" }));
        other.service = "db".into();
        groups.take(&other);
        let mut plain = line(5, 3, "cc", json!({}));
        plain.attributes.shift_remove("exception.fingerprint");
        groups.take(&plain);
        let all = groups.sorted();
        let told: Vec<_> = all
            .iter()
            .map(|one| (one.place(), one.count, one.versions_in_words(), one.what()))
            .collect();
        let row = |place: &str, count, versions: &str, what: &str| {
            (place.to_owned(), count, versions.to_owned(), what.to_owned())
        };
        assert_eq!(
            told,
            [
                row("shop.db", 1, "3", "ValueError: no 9"),
                row("shop.web", 1, "3", "ValueError: no 3"),
                row("shop.web", 2, "2 to 3", "ValueError: no 2"),
            ]
        );
        assert!(all[0].is_crash() && !all[1].is_crash());
        assert_eq!(all[2].first.1, "2026-11-27T09:00:01Z");
        assert_eq!(Groups::json(&all)["groups"][2]["example"]["seq"], 2);
    }
}
