//! The part of the survey about the kernel: what sandboxes are built from, and the second walls.

use crate::cgroup::place::Lack;
use crate::plan::resolve::PORTS_BY_LANDLOCK;

use super::{Answers, Finding, HostFacts, NamespaceSettings, Trial};

/// The oldest kernel hostctl is tested on.
const OLDEST: (u32, u32) = (5, 15);

pub(super) fn findings(answers: &Answers) -> Vec<Finding> {
    let facts = &answers.facts;
    vec![
        kernel(facts),
        mount_api(facts),
        user(facts),
        sandbox(answers),
        processes(&answers.trial),
        user_namespaces(answers),
        landlock(facts),
        notifications(facts),
        cgroups(facts),
        programs(facts),
    ]
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
        "apps run under your uid, and share it with each other",
    )
    .remedy("run hostctl as root, for a uid for each app")
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

/// What holds apps to their ports and destinations.
fn programs(facts: &HostFacts) -> Finding {
    const NAME: &str = "eBPF";
    let cost = match facts.landlock >= PORTS_BY_LANDLOCK {
        true => {
            "Landlock holds apps to their TCP ports, but nothing to addresses, UDP and interfaces"
        }
        false => "apps on the host's network may bind any port and connect to anything",
    };
    if facts.cgroups.plain.is_none() && facts.is_root() {
        return Finding::missing(NAME, "no cgroup v2 to attach programs to", cost)
            .remedy("boot with systemd.unified_cgroup_hierarchy=1, or mount cgroup2");
    }
    if facts.cgroup_programs {
        let place = facts.cgroups.plain.as_ref().map(|place| format!(", {place}"));
        let what = "apps are held to their ports and destinations".to_owned();
        return Finding::ok(NAME, what + &place.unwrap_or_default());
    }
    if !facts.is_root() {
        return Finding::note(NAME, "not without root", cost).remedy("run hostctl as root");
    }
    Finding::missing(NAME, "the kernel takes no programs from this process", cost)
        .remedy("give the container CAP_BPF and CAP_NET_ADMIN; the kernel needs CONFIG_CGROUP_BPF")
}

/// What can be limited where the caller's apps are born.
fn cgroups(facts: &HostFacts) -> Finding {
    const NAME: &str = "cgroup v2";
    let cgroups = &facts.cgroups;
    let place = cgroups.limited.as_ref().map(|place| format!(", {place}")).unwrap_or_default();
    let Some((first, lack)) = cgroups.lacks.first() else {
        return Finding::ok(NAME, format!("memory, cpu, processes and io can be limited{place}"));
    };
    let keys: Vec<_> = cgroups.lacks.iter().map(|(one, _)| one.key()).collect();
    let cost = format!(
        "{} can't be enforced: apps with such a limit run with --allow-unenforced alone",
        keys.join(", ")
    );
    let finding = match lack {
        Lack::NotMounted => Finding::missing(NAME, "not mounted", &cost),
        lack => Finding::note(NAME, lack.reason(*first), &cost),
    };
    finding.remedy(lack.remedy(*first))
}
