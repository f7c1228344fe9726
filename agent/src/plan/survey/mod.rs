//! What a host's answers mean for `hostctl run`: which promises hold here, what the missing ones
//! cost, and what to change.
//!
//! Invariant: pure; the same answers give the same findings, in the same order, one for each
//! question. Never asks the host, never changes anything.

mod kernel;
mod names;
mod places;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use manifest_spec::policy::UidRange;
use serde::Serialize;

use super::HostFacts;
pub use names::NamesFound;

/// Everything that was asked.
#[derive(Debug, Clone)]
pub struct Answers {
    /// What planning asks too.
    pub facts: HostFacts,
    /// How building an empty sandbox went, as the caller.
    pub trial: Trial,
    /// Uids that exist for the caller, first and count; fewer than all in a container.
    pub mapped_uids: Vec<(u64, u64)>,
    /// Settings that keep ordinary users from making user namespaces; `None`: no such setting.
    pub user_namespaces: NamespaceSettings,
    /// state, run and config, in this order.
    pub places: [Place; 3],
    /// The host policy: its uid range and whether the file exists, or what is wrong with it.
    pub policy: Result<(UidRange, bool), String>,
    /// Whether services are found by their names.
    pub names: NamesFound,
}

/// How far building an empty sandbox came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// To its end.
    Works,
    /// No namespaces; what the kernel said.
    NoNamespaces(String),
    /// A user namespace without a map of uids.
    NoMap,
    /// Namespaces in which nothing may be mounted.
    NoMounts,
    /// Everything but a /proc of its own.
    NoProcesses,
}

/// Settings about user namespaces, by their file in /proc/sys.
#[derive(Debug, Clone, Copy, Default)]
pub struct NamespaceSettings {
    /// `user/max_user_namespaces`.
    pub max: Option<u64>,
    /// `kernel/apparmor_restrict_unprivileged_userns` (Ubuntu).
    pub apparmor: Option<u64>,
    /// `kernel/unprivileged_userns_clone` (Debian).
    pub clone: Option<u64>,
}

/// One of hostctl's directories as it is now.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its path.
    pub path: PathBuf,
    /// What is there.
    pub found: Found,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing; whether the caller could make it.
    Nothing(bool),
    /// A directory: owner and mode.
    Directory(u32, u32),
    /// Something else, or it can't be looked at: what.
    Other(String),
}

/// One line of the survey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was asked about.
    pub name: &'static str,
    /// How it stands.
    pub status: Status,
    /// Whether `hostctl run` can't work without it.
    pub needed: bool,
    /// What was found.
    pub what: String,
    /// What its absence costs.
    pub cost: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// There.
    Ok,
    /// Not there, or not usable.
    Missing,
    /// Good to know.
    Note,
}

impl Finding {
    fn ok(name: &'static str, what: impl Into<String>) -> Self {
        let what = what.into();
        Finding { name, status: Status::Ok, needed: false, what, cost: None, remedy: None }
    }

    fn note(name: &'static str, what: impl Into<String>, cost: &str) -> Self {
        Finding { status: Status::Note, ..Self::ok(name, what) }.costs(cost)
    }

    fn missing(name: &'static str, what: impl Into<String>, cost: &str) -> Self {
        Finding { status: Status::Missing, ..Self::ok(name, what) }.costs(cost)
    }

    fn costs(mut self, cost: &str) -> Self {
        self.cost = Some(cost.to_owned());
        self
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    fn needed(mut self) -> Self {
        self.needed = true;
        self
    }

    /// Whether nothing can run because of this.
    pub fn is_fatal(&self) -> bool {
        self.needed && self.status == Status::Missing
    }
}

/// What the answers mean, the kernel first, hostctl's own things last.
pub fn survey(answers: &Answers) -> Vec<Finding> {
    let mut findings = kernel::findings(answers);
    findings.extend(places::findings(answers));
    findings.push(names::findings(answers));
    findings
}

/// The survey in one sentence.
pub fn verdict(findings: &[Finding]) -> String {
    let names = |wanted: &dyn Fn(&Finding) -> bool| -> Vec<&str> {
        findings.iter().filter(|finding| wanted(finding)).map(|finding| finding.name).collect()
    };
    let fatal = names(&Finding::is_fatal);
    let missing = names(&|finding| finding.status == Status::Missing);
    match (fatal.as_slice(), missing.as_slice()) {
        ([], []) => "hostctl run works on this host".to_owned(),
        ([], missing) => format!("hostctl run works on this host, without {}", missing.join(", ")),
        (fatal, _) => format!("hostctl run can't work on this host: see {}", fatal.join(", ")),
    }
}
