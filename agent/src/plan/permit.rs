//! The host policy's word: who may run what, as whom, and how much of it.
//!
//! Invariant: a policy refuses, it never changes a value. Pure.

use manifest_spec::Diagnostic;
use manifest_spec::manifest::{Manifest, Service, User};
use manifest_spec::policy::{Caller, HostPolicy, Verb};

use super::resolve::Keeper;
use super::{HostFacts, Identity, PlannedLimits, Settings};
use crate::sandbox::seccomp::{self, Remedy};

/// Descriptors a process may open when the manifest does not say: enough for a busy server, and
/// far below what would let one program starve the host.
const FILES: u64 = 65_536;

/// Refusals of the host policy that need no resolved value.
pub(super) fn permit(
    manifest: &Manifest,
    service: &Service,
    prefix: &str,
    facts: &HostFacts,
    policy: &HostPolicy,
    settings: &Settings,
) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    let caller = Caller { uid: facts.uid, user: facts.user.as_deref(), groups: &facts.groups };
    // A daemon has asked for those who ask it; what it plans, it plans as itself.
    if settings.keeper == Keeper::Foreground && !policy.allows(&caller, &manifest.name, Verb::Run) {
        let who = caller.user.map_or(format!("uid {}", facts.uid), |user| format!("user {user}"));
        let message = format!("the host policy does not let {who} run this app");
        let hint = "ask the operator for an entry in [[users]] of policy.toml";
        errors.push(Diagnostic::new("name", message).with_hint(hint));
    }
    errors.extend(count(service.count.unwrap_or(1), prefix, policy));
    let lists = [
        ("capabilities", &service.access.capabilities, &policy.allow.capabilities),
        ("syscalls", &service.access.syscalls, &policy.allow.syscalls),
    ];
    for (key, asked, allowed) in lists {
        // Whoever may give them out says nothing by silence; on another's word they are refused.
        let allowed = match (allowed, &settings.deployer) {
            (Some(allowed), _) => allowed.as_slice(),
            (None, Some(_)) => &[],
            (None, None) => continue,
        };
        for name in asked.iter().flatten().filter(|name| !allowed.contains(name)) {
            let message = format!("the host policy does not allow {name}");
            let hint = format!("ask the operator to add it to [allow] {key} in policy.toml");
            errors.push(Diagnostic::new(format!("{prefix}access.{key}"), message).with_hint(hint));
        }
    }
    let names = service.access.syscalls.iter().flatten();
    errors.extend(names.filter_map(|name| call(name, &format!("{prefix}access.syscalls"))));
    errors
}

/// More instances than the host policy lets a service have, whoever asks for them: the manifest
/// (whose keys have this prefix) or a command.
pub fn count(asked: u32, prefix: &str, policy: &HostPolicy) -> Option<Diagnostic> {
    let top = policy.ceilings.count.filter(|top| asked > *top)?;
    let message = format!("{asked} is above the host policy's ceilings.count, {top}");
    let hint = format!("write count = {top}");
    Some(Diagnostic::new(format!("{prefix}count"), message).with_hint(hint))
}

/// Why a system call can't be added to the filter.
fn call(name: &str, key: &str) -> Option<Diagnostic> {
    if !seccomp::is_known(name) {
        let error = Diagnostic::new(key, format!("{name:?} is not a system call hostctl knows"));
        let nearest = seccomp::nearest(name).map(|nearest| format!("did you mean {nearest:?}?"));
        return Some(match nearest {
            Some(hint) => error.with_hint(hint),
            None => error,
        });
    }
    match seccomp::remedy(name) {
        Remedy::Never(reason) => {
            Some(Diagnostic::new(key, format!("{name} is never allowed: {reason}")))
        }
        _ => None,
    }
}

/// Who the program runs as.
pub(super) fn identify(
    manifest: &Manifest,
    service: &Service,
    prefix: &str,
    facts: &HostFacts,
    policy: &HostPolicy,
    settings: &Settings,
) -> Result<Identity, Diagnostic> {
    let key = format!("{prefix}access.user");
    if service.access.user == Some(User::Root) {
        if !facts.is_root() {
            let message = "only root can run a program as root";
            return Err(Diagnostic::new(key, message).with_hint("leave out user, or run as root"));
        }
        if !policy.allows_root(&manifest.name) {
            let message = "the host policy does not let this app run as root";
            let hint = format!("add {:?} to [allow] root in policy.toml", manifest.name.as_str());
            return Err(Diagnostic::new(key, message).with_hint(hint));
        }
        return Ok(Identity::Root);
    }
    if !facts.is_root() {
        if service.access.capabilities.as_ref().is_some_and(|list| !list.is_empty()) {
            let message = "capabilities can't be given without root";
            return Err(Diagnostic::new(format!("{prefix}access.capabilities"), message));
        }
        return Ok(Identity::Caller { uid: facts.uid, gid: facts.gid });
    }
    match facts.clash(policy.uids) {
        Some((owner, from, last)) => Err(Diagnostic::new(
            "uids",
            format!(
                "the uid range {}-{} of hostctl is in use: /etc/subuid or /etc/subgid gives {owner} the ids {from}-{last}",
                policy.uids.first,
                u64::from(policy.uids.first) + u64::from(policy.uids.count) - 1,
            ),
        )
        .with_hint("choose another range in [uids] of policy.toml, or change the subordinate ids")),
        None => Ok(Identity::Own { uid: settings.uid }),
    }
}

/// What the program may use up, below every ceiling.
pub(super) fn limits(
    service: &Service,
    prefix: &str,
    facts: &HostFacts,
    policy: &HostPolicy,
    errors: &mut Vec<Diagnostic>,
) -> PlannedLimits {
    let (asked, top) = (&service.limits, &policy.ceilings);
    let files = asked.files.map_or(FILES.min(facts.files_limit), u64::from);
    if files > facts.files_limit {
        let message =
            format!("{files} is above the hard limit of open files here, {}", facts.files_limit);
        let hint = "lower it, or raise the limit with `ulimit -Hn` or LimitNOFILE=";
        errors.push(Diagnostic::new(format!("{prefix}limits.files"), message).with_hint(hint));
    }
    let mut ceiling = |key: &str,
                       asked: Option<u64>,
                       top: Option<u64>,
                       show: &dyn Fn(u64) -> String| {
        let Some(top) = top.filter(|top| asked.is_none_or(|asked| asked > *top)) else { return };
        let found = asked.map_or("no limit".to_owned(), show);
        let message = format!("{found} is above the host policy's ceilings.{key}, {}", show(top));
        let hint = format!("write {key} = {}", show(top));
        errors.push(Diagnostic::new(format!("{prefix}limits.{key}"), message).with_hint(hint));
    };
    let (plain, size, share) = (
        |value: u64| value.to_string(),
        |value: u64| format!("\"{}\"", manifest_spec::quantity::Bytes(value)),
        |value: u64| format!("\"{value}%\""),
    );
    ceiling("memory", asked.memory.map(|bytes| bytes.0), top.memory.map(|bytes| bytes.0), &size);
    ceiling("cpu", asked.cpu.map(|cpu| cpu.0.into()), top.cpu.map(|cpu| cpu.0.into()), &share);
    ceiling("processes", asked.processes.map(u64::from), top.processes.map(u64::from), &plain);
    ceiling("files", Some(files), top.files.map(u64::from), &plain);
    let core = asked.core.map_or(0, |bytes| bytes.0);
    if core > facts.core_limit {
        let limit = size(facts.core_limit);
        let message = format!("{} is above the hard limit of core files here, {limit}", size(core));
        let hint = "lower it, or raise the limit with `ulimit -Hc` or LimitCORE=";
        errors.push(Diagnostic::new(format!("{prefix}limits.core"), message).with_hint(hint));
    }
    PlannedLimits {
        memory: asked.memory.map(|bytes| bytes.0),
        cpu: asked.cpu.map(|cpu| cpu.0),
        processes: asked.processes,
        io: asked.io,
        files: u32::try_from(files).unwrap_or(u32::MAX),
        core,
    }
}
