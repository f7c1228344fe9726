//! What becomes of an instance's output: how much is kept, what is secret, where it is sent.
//!
//! Invariant: a log is always bounded in size; a sink's path and program are absolute. Pure.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use manifest_spec::Diagnostic;
use manifest_spec::command::Command;
use manifest_spec::filter::Filter;
use manifest_spec::manifest::{Full, Logs, Manifest, Rotate, Sink, SinkTarget};
use manifest_spec::quantity::{Bytes, Span};
use serde::{Deserialize, Serialize};

use crate::logs::shape::Redactor;

/// Most of one app's records, in bytes.
const KEEP_BYTES: u64 = 500 << 20;

/// Oldest records.
const KEEP_FOR: Duration = Duration::from_secs(14 * 86_400);

/// When a file sink begins a new file, in bytes.
const ROTATE: u64 = 100 << 20;

/// Earlier files of a file sink.
const COPIES: u32 = 5;

/// How names of variables end whose values are secret unless the manifest says which are.
const SECRET_NAMES: [&str; 6] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "KEY", "CREDENTIALS"];

/// Shortest value that is taken for a secret unasked, in bytes: "test" is in too many lines.
const SECRET_LEAST: usize = 6;

/// Shortest value that is looked for at all, in bytes.
const SECRET_SHORTEST: usize = 4;

/// What becomes of an instance's output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedLogs {
    /// Most that all instances of the app keep together, in bytes.
    pub keep_bytes: u64,
    /// How long records are kept at most.
    pub keep_for: Option<Duration>,
    /// What happens when the disk takes no more.
    pub full: Full,
    /// The variables whose values, or passwords in them, are secret.
    pub redacted: Vec<String>,
    /// What must not be in any record.
    pub secrets: Vec<Secret>,
    /// Where records are sent.
    pub sinks: Vec<PlannedSink>,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One destination of records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedSink {
    /// Where to; paths are absolute.
    pub to: SinkTarget,
    /// Only matching records are sent.
    pub when: Option<Filter>,
    /// For a file: the size at which a new one is begun, in bytes; `None` for never.
    pub rotate: Option<u64>,
    /// For a file: how many earlier ones stay.
    pub copies: u32,
    /// For Loki: further labels.
    pub labels: Vec<(String, String)>,
    /// For HTTP of all kinds: further headers.
    pub headers: Vec<(String, Secret)>,
    /// Where a program runs.
    pub folder: PathBuf,
}

impl PlannedSink {
    /// A sink with what it leaves open; relative paths start at `folder`.
    #[must_use]
    pub fn new(sink: &Sink, folder: &Path) -> Self {
        let to = match &sink.to {
            SinkTarget::File(path) => SinkTarget::File(folder.join(path).display().to_string()),
            to => to.clone(),
        };
        let secret = |(name, value): &(String, String)| (name.clone(), Secret(value.clone()));
        PlannedSink {
            to,
            when: sink.when.clone(),
            rotate: match sink.rotate {
                None => Some(ROTATE),
                Some(Rotate::Never) => None,
                Some(Rotate::At(size)) => Some(size.0),
            },
            copies: sink.copies.unwrap_or(COPIES),
            labels: sink.labels.clone(),
            headers: sink.headers.iter().map(secret).collect(),
            folder: folder.to_owned(),
        }
    }

    /// What it is known by: two with the same address and filter are one.
    #[must_use]
    pub fn id(&self) -> String {
        match &self.when {
            Some(when) => format!("{} when {when}", self.to),
            None => self.to.to_string(),
        }
    }
}

impl Default for PlannedLogs {
    fn default() -> Self {
        PlannedLogs {
            keep_bytes: KEEP_BYTES,
            keep_for: Some(KEEP_FOR),
            full: Full::DropOldest,
            redacted: Vec::new(),
            secrets: Vec::new(),
            sinks: Vec::new(),
        }
    }
}

impl fmt::Display for PlannedLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Bytes(self.keep_bytes).fmt(f)?;
        if let Some(time) = self.keep_for {
            write!(f, " {}", Span(time))?;
        }
        write!(f, ", {} when the disk is full", self.full.as_str())
    }
}

impl fmt::Display for PlannedSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())?;
        match (&self.to, self.rotate) {
            (SinkTarget::File(_), Some(size)) => {
                write!(f, ", a new one at {}, {} earlier kept", Bytes(size), self.copies)
            }
            _ => Ok(()),
        }
    }
}

/// Decide it, for an instance with this environment.
pub(super) fn logs(
    manifest: &Manifest,
    env: &[(String, String)],
    folder: &Path,
) -> Result<PlannedLogs, Vec<Diagnostic>> {
    let Logs { keep_bytes, keep_for, full, redact, sinks } = &manifest.logs;
    let mut planned = PlannedLogs {
        keep_bytes: keep_bytes.map_or(KEEP_BYTES, |size| size.0),
        // An age of our own would take away what was said to have room.
        keep_for: keep_for.map(|span| span.0).or(keep_bytes.is_none().then_some(KEEP_FOR)),
        full: full.unwrap_or(Full::DropOldest),
        ..PlannedLogs::default()
    };
    let mut errors = Vec::new();
    match redact {
        Some(names) => errors.extend(named_secrets(names, env, &mut planned)),
        None => likely_secrets(env, &mut planned),
    }
    for (index, sink) in sinks.iter().enumerate() {
        let mut sink = PlannedSink::new(sink, folder);
        match program(&sink.to, env, folder) {
            Ok(Some(command)) => sink.to = SinkTarget::Exec(command),
            Ok(None) => {}
            Err(message) => errors.push(Diagnostic::new(format!("logs.sinks[{index}]"), message)),
        }
        planned.secrets.extend(sink.headers.iter().map(|(_, value)| value.clone()));
        planned.sinks.push(sink);
    }
    planned.secrets.retain(|secret| secret.0.len() >= SECRET_SHORTEST);
    let secrets: Vec<&str> = planned.secrets.iter().map(|secret| secret.0.as_str()).collect();
    if let Err(error) = Redactor::check(&secrets) {
        let hint = "name those that matter, logs.redact = [\"DB_PASSWORD\"]";
        errors.push(Diagnostic::new("logs.redact", error.to_string()).with_hint(hint));
    }
    if errors.is_empty() { Ok(planned) } else { Err(errors) }
}

/// Values of the variables that the manifest names; one that this instance has not got is another's.
fn named_secrets(
    names: &[String],
    env: &[(String, String)],
    planned: &mut PlannedLogs,
) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let Some((_, value)) = env.iter().find(|(own, _)| own == name) else { continue };
        if (1..SECRET_SHORTEST).contains(&value.len()) {
            let message = format!(
                "the value of {name} is shorter than {SECRET_SHORTEST} bytes: it would be found everywhere"
            );
            let hint = format!("drop {name} here, or give it a longer value");
            errors.push(Diagnostic::new(format!("logs.redact[{index}]"), message).with_hint(hint));
        }
        planned.redacted.push(name.clone());
        planned.secrets.push(Secret(value.clone()));
        planned.secrets.extend(passwords(value));
    }
    errors
}

fn likely_secrets(env: &[(String, String)], planned: &mut PlannedLogs) {
    for (name, value) in env {
        let before = planned.secrets.len();
        let upper = name.to_ascii_uppercase();
        if SECRET_NAMES.iter().any(|end| upper.ends_with(end)) && value.len() >= SECRET_LEAST {
            planned.secrets.push(Secret(value.clone()));
        }
        planned.secrets.extend(passwords(value).filter(|one| one.0.len() >= SECRET_LEAST));
        if planned.secrets.len() > before {
            planned.redacted.push(name.clone());
        }
    }
}

/// Passwords of URLs in a value (RFC 3986, section 3.2.1), as written: `scheme://user:HERE@host`.
fn passwords(value: &str) -> impl Iterator<Item = Secret> {
    value.split("://").skip(1).filter_map(|rest| {
        let authority = rest.split(['/', '?', '#', ' ', ',']).next()?;
        let (user, _) = authority.rsplit_once('@')?;
        let (_, password) = user.split_once(':')?;
        Some(Secret(password.to_owned()))
    })
}

/// The program of a sink with its variables replaced and its path made absolute.
fn program(
    to: &SinkTarget,
    env: &[(String, String)],
    folder: &Path,
) -> Result<Option<Command>, String> {
    let SinkTarget::Exec(command) = to else { return Ok(None) };
    let lookup = |name: &str| env.iter().find(|(own, _)| own == name).map(|(_, v)| v.clone());
    let mut words = command.expand(&lookup).map_err(|error| error.to_string())?;
    if let Some(program) = words.first_mut().filter(|program| program.contains('/')) {
        let path: PathBuf = folder.join(&*program).components().collect();
        *program = path.display().to_string();
    }
    Command::from_words(words).map(Some).map_err(|error| error.to_string())
}
