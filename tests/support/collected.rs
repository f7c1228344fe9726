//! What the pipeline has made of an app's output, and the processes that make it.
//!
//! Invariant: logs are read as docs/logs.md describes them, files of JSON lines; a logger is known by
//! its name and its scene.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Scene, eventually, kill};

/// The lines of an instance's log.
#[derive(Debug, Default)]
pub struct Collected {
    /// What records belong to, in order.
    pub headers: Vec<Value>,
    /// All records, in order.
    pub records: Vec<Value>,
}

impl Scene {
    /// The log of an instance, `web.main.1`, as it is now. A line that is just being written is left
    /// out.
    pub fn collected(&self, instance: &str) -> Collected {
        let (app, name) = instance.split_once('.').unwrap();
        collected(&self.state().join("logs").join(app).join(name))
    }

    /// The same, once there is a record of this text among the last ones.
    #[track_caller]
    pub fn collected_until(&self, instance: &str, body: &str) -> Collected {
        let (app, name) = instance.split_once('.').unwrap();
        let folder = self.state().join("logs").join(app).join(name);
        let member = format!("\"body\":{}", Value::from(body));
        eventually(&format!("{body:?} is collected"), || {
            segments(&folder).iter().rev().take(2).any(|file| {
                let text = std::fs::read(file).unwrap_or_default();
                let end = &text[text.len().saturating_sub(4 << 20)..];
                String::from_utf8_lossy(end).lines().any(|line| line.contains(&member))
            })
        });
        self.collected(instance)
    }

    /// The loggers of this scene.
    pub fn loggers(&self) -> Vec<i32> {
        let place = format!("{}/", self.outside().display());
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let numbers = processes.filter_map(|one| one.file_name().to_str()?.parse().ok());
        let is_ours = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            let mut words = line.split('\0');
            words.next() == Some("hostctl-logger") && words.any(|one| one.starts_with(&place))
        };
        numbers.filter(is_ours).collect()
    }

    /// End every logger of this scene by force.
    pub fn kill_loggers(&self) {
        self.loggers().into_iter().for_each(|pid| kill("KILL", pid));
    }
}

/// The files of a log, in order.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let name = |path: &PathBuf| path.file_stem().and_then(|name| name.to_str()).map(str::len);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "log") && name(path) == Some(20));
    files.sort();
    files
}

/// The log in a folder.
pub fn collected(folder: &Path) -> Collected {
    let mut all = Collected::default();
    for file in segments(folder) {
        // One may have been deleted meanwhile.
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            match line["seq"].is_u64() {
                true => all.records.push(line),
                false => all.headers.push(line["resource"].clone()),
            }
        }
    }
    all
}

impl Collected {
    /// What came by a stream: the text of its records, put together where a line was cut into parts.
    pub fn of(&self, stream: &str) -> Vec<String> {
        let mut lines = vec![String::new()];
        for record in &self.records {
            let attributes = &record["attributes"];
            if attributes["stream"] == stream {
                lines.last_mut().unwrap().push_str(record["body"].as_str().unwrap());
                if attributes["last_part"] != false {
                    lines.push(String::new());
                }
            }
        }
        lines.pop();
        lines
    }

    /// That each record's number is one more than the last one's, but for those that others stand
    /// for; how many those are.
    #[track_caller]
    pub fn in_order(&self) -> u64 {
        let mut lost = 0;
        let mut next = self.records.first().map_or(1, |record| record["seq"].as_u64().unwrap());
        for record in &self.records {
            let gap = record["attributes"]["gap"].as_u64().unwrap_or(0);
            if gap > 0 {
                assert_eq!(record["attributes"]["gap.first"], next, "{record}");
                next += gap - 1;
                lost += gap;
            }
            assert_eq!(record["seq"], next, "{record}");
            next += 1;
        }
        lost
    }
}
