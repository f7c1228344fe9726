//! What a host's answers mean for `hostctl run`: which promises hold here, what the missing ones
//! cost, and what to change.
//!
//! Invariant: pure; the same answers give the same findings, in the same order, one for each
//! question. Never asks the host, never changes anything.

mod places;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use manifest_spec::policy::UidRange;
use serde::Serialize;

use super::HostFacts;

/// The oldest kernel hostctl is tested on.
const OLDEST: (u32, u32) = (5, 15);

/// Everything that was asked.
#[derive(Debug, Clone)]
pub struct Answers {
    /// What planning asks too.
    pub facts: HostFacts,
    /// How building an empty sandbox went, as the caller.
    pub trial: Trial,
    /// Settings that keep ordinary users from making user namespaces; `None`: no such setting.
    pub user_namespaces: NamespaceSettings,
    /// Whether a cgroup v2 hierarchy is mounted.
    pub unified_cgroups: bool,
    /// state, run and config, in this order.
    pub places: [Place; 3],
    /// The host policy: its uid range and whether the file exists, or what is wrong with it.
    pub policy: Result<(UidRange, bool), String>,
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
    let facts = &answers.facts;
    let mut findings = vec![
        kernel(facts),
        mount_api(facts),
        user(facts),
        sandbox(answers),
        processes(&answers.trial),
        user_namespaces(answers),
        landlock(facts),
        notifications(facts),
        cgroups(answers),
    ];
    findings.extend(places::findings(answers));
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

fn kernel(facts: &HostFacts) -> Finding {
    let release = format!("{}.{}", facts.kernel.0, facts.kernel.1);
    if facts.kernel >= OLDEST {
        return Finding::ok("kernel", release);
    }
    Finding::missing(
        "kernel",
        format!("{release} is older than {}.{}", OLDEST.0, OLDEST.1),
        "hostctl is not tested on it",
    )
    .remedy("boot a newer kernel")
}

fn mount_api(facts: &HostFacts) -> Finding {
    match facts.mount_api {
        true => Finding::ok("mount API", "mount_setattr(2) is there").needed(),
        false => {
            Finding::missing("mount API", "no mount_setattr(2)", "no sandbox can be built at all")
                .remedy("boot a kernel from 5.12 on, or allow the call where a container denies it")
                .needed()
        }
    }
}

fn user(facts: &HostFacts) -> Finding {
    if facts.is_root() {
        return Finding::ok("user", "root: each app gets a uid of its own");
    }
    Finding::note(
        "user",
        format!("uid {}, not root", facts.uid),
        "apps run under your uid, with no capability and no other uid between them and your files' owner",
    )
    .remedy("run hostctl as root for full isolation; as you are it works too")
}

fn sandbox(answers: &Answers) -> Finding {
    const NAME: &str = "namespaces";
    const COST: &str = "no sandbox can be built at all";
    let refused = match &answers.trial {
        Trial::Works | Trial::NoProcesses => {
            return Finding::ok(NAME, "an empty sandbox was built").needed();
        }
        Trial::NoNamespaces(errno) => format!("the kernel refused to make any: {errno}"),
        Trial::NoMap => "a user namespace was made, but no uid may be mapped in it".to_owned(),
        Trial::NoMounts => "namespaces were made, but nothing may be mounted in them".to_owned(),
    };
    let finding = Finding::missing(NAME, refused, COST).needed();
    match setting(&answers.user_namespaces) {
        _ if answers.facts.is_root() => finding
            .remedy("run hostctl outside of the container, or give the container CAP_SYS_ADMIN"),
        Some((_, command)) => {
            finding.remedy(format!("as root, `{command}`; or run hostctl as root"))
        }
        None => finding.remedy("run hostctl as root, or outside of the container"),
    }
}

/// A mount of /proc is the one thing that works in most containers' user namespaces but not in all.
fn processes(trial: &Trial) -> Finding {
    match trial {
        Trial::Works => Finding::ok("/proc", "each app can have its own").needed(),
        Trial::NoProcesses => Finding::missing(
            "/proc",
            "the kernel refuses a new one: parts of the present one are hidden",
            "no sandbox can be built at all",
        )
        .remedy("run hostctl outside of the container, or unmount what covers parts of /proc")
        .needed(),
        _ => Finding::note("/proc", "not tried without namespaces", "unknown"),
    }
}

/// What ordinary users may do; for root only good to know.
fn user_namespaces(answers: &Answers) -> Finding {
    const NAME: &str = "rootless";
    let works = matches!(answers.trial, Trial::Works | Trial::NoProcesses);
    let Some((what, command)) = setting(&answers.user_namespaces) else {
        return Finding::ok(NAME, "no setting keeps ordinary users from user namespaces");
    };
    if works && !answers.facts.is_root() {
        return Finding::ok(NAME, format!("{what}, but not for this program"));
    }
    Finding::note(NAME, what, "hostctl run works for root only").remedy(format!("`{command}`"))
}

/// The setting that is in the way, and the command that changes it.
fn setting(settings: &NamespaceSettings) -> Option<(&'static str, &'static str)> {
    if settings.max == Some(0) {
        let command = "sysctl -w user.max_user_namespaces=10000";
        return Some(("user.max_user_namespaces is 0", command));
    }
    if settings.clone == Some(0) {
        let command = "sysctl -w kernel.unprivileged_userns_clone=1";
        return Some(("kernel.unprivileged_userns_clone is 0", command));
    }
    if settings.apparmor == Some(1) {
        let command = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
        return Some(("AppArmor restricts user namespaces", command));
    }
    None
}

fn landlock(facts: &HostFacts) -> Finding {
    if facts.landlock > 0 {
        return Finding::ok("Landlock", format!("ABI {}", facts.landlock));
    }
    let (what, remedy) = if facts.kernel < (5, 13) {
        ("this kernel has none", "boot a kernel from 5.13 on")
    } else {
        (
            "not in this kernel, or switched off",
            "add landlock to lsm= on the kernel's command line; the kernel needs CONFIG_SECURITY_LANDLOCK",
        )
    };
    Finding::missing("Landlock", what, "files are guarded by the mount namespace alone")
        .remedy(remedy)
}

fn notifications(facts: &HostFacts) -> Finding {
    const NAME: &str = "seccomp notify";
    if facts.notify {
        return Finding::ok(NAME, "denied system calls are named");
    }
    Finding::missing(
        NAME,
        "the kernel can't hand denied calls to a supervisor",
        "a program that dies of a denied system call is not told which",
    )
    .remedy("boot a kernel from 5.0 on with CONFIG_SECCOMP_FILTER")
}

fn cgroups(answers: &Answers) -> Finding {
    const NAME: &str = "cgroup v2";
    const COST: &str = "limits.memory, limits.cpu and ports can't be enforced once hostctl does so; this version does not yet";
    if !answers.unified_cgroups {
        return Finding::missing(NAME, "not mounted", COST)
            .remedy("boot with systemd.unified_cgroup_hierarchy=1, or mount cgroup2");
    }
    let offered = &answers.facts.controllers;
    let missing: Vec<_> = ["cpu", "memory", "pids"]
        .into_iter()
        .filter(|name| !offered.iter().any(|offered| offered == name))
        .collect();
    if missing.is_empty() {
        return Finding::ok(NAME, "with cpu, memory and pids");
    }
    Finding::note(NAME, format!("mounted without {}", missing.join(", ")), COST)
        .remedy("boot with systemd.unified_cgroup_hierarchy=1, so that no v1 hierarchy holds them")
}
