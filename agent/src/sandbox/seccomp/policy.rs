//! Which call belongs to which group, and what lifts a denial.
//!
//! Owns the table of groups. Invariant: every known call stands in exactly one group; an allowed
//! one is there because ordinary programs use it or because the kernel's own checks (the app's uid,
//! its namespaces, no capability) already confine it. Never speaks of numbers.

use std::collections::HashMap;

use super::Request;
use super::rule::{ALLOW, Action, ENOSYS, EPERM, Rule};

mod groups;

use groups::GROUPS;

/// What allows a call that the default filter denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The filter allows it already; with some arguments only, where it looks at them.
    Allowed,
    /// `[access] syscalls` with the call's name.
    Syscalls,
    /// `[access] capabilities` with any one of these, the narrowest first. The call's name under
    /// `[access] syscalls` passes the filter too, but then the kernel refuses most of its uses.
    Capability(&'static [&'static str]),
    /// No setting, for this reason.
    Never(&'static str),
}

impl Remedy {
    /// What to write in the manifest so that `call` works, or why nothing can be written.
    pub fn advice(self, call: &str) -> String {
        match self {
            Remedy::Allowed => format!("{call} is allowed, but not with these arguments"),
            Remedy::Syscalls => format!("to allow it: [access] syscalls = [{call:?}]"),
            Remedy::Capability(names) => {
                format!("to allow it: [access] capabilities = [{:?}]", names[0])
            }
            Remedy::Never(reason) => format!("no setting allows it: {reason}"),
        }
    }
}

/// What allows this call. For a name that is no call: nothing.
pub fn remedy(name: &str) -> Remedy {
    GROUPS
        .iter()
        .find(|group| group.calls().any(|call| call == name))
        .map_or(Remedy::Never("there is no such system call"), |group| group.remedy)
}

/// Every call of every group.
#[cfg(test)]
pub(super) fn grouped() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().flat_map(Group::calls)
}

/// Calls that share an answer.
struct Group {
    /// Separated by white space.
    calls: &'static str,
    class: Class,
    remedy: Remedy,
}

impl Group {
    fn calls(&self) -> impl Iterator<Item = &'static str> {
        self.calls.split_ascii_whitespace()
    }
}

/// What happens to a call when nothing lifts its denial.
enum Class {
    Allow,
    /// ENOSYS: programs take another way, as on a kernel without the call.
    Absent,
    /// EPERM: programs try the call and do without it.
    Refused,
    /// No program that belongs in a sandbox makes the call: ending it with the call's name beats an
    /// error somewhere later.
    Fatal,
    Checked(fn(Granted<'_>) -> Rule),
}

/// What a program is granted, as far as rules depend on it.
#[derive(Clone, Copy)]
pub(super) struct Granted<'a> {
    capabilities: &'a [String],
    /// Whether it may have UDP sockets.
    pub(super) datagrams: bool,
    /// Whether it may join multicast groups.
    pub(super) groups: bool,
    /// Whether it may connect by sending.
    pub(super) fast_open: bool,
}

impl Granted<'_> {
    /// Whether at least one of these capabilities is kept.
    pub(super) fn any(self, names: &[&str]) -> bool {
        self.capabilities.iter().any(|held| names.contains(&held.as_str()))
    }
}

/// The groups with a request applied to them.
pub(super) struct Policy<'a> {
    /// The group of each call.
    groups: HashMap<&'static str, usize>,
    /// The answer of each group.
    rules: Vec<Rule>,
    named: &'a [String],
}

impl<'a> Policy<'a> {
    pub(super) fn new(request: &Request<'a>) -> Self {
        let mut groups = HashMap::with_capacity(512);
        for (index, group) in GROUPS.iter().enumerate() {
            groups.extend(group.calls().map(|call| (call, index)));
        }
        let rules = GROUPS.iter().map(|group| group_rule(group, request)).collect();
        Policy { groups, rules, named: request.syscalls }
    }

    /// The answer to a call.
    pub(super) fn rule(&self, name: &str) -> &Rule {
        let Some(&group) = self.groups.get(name) else {
            return &ENOSYS;
        };
        let never = matches!(GROUPS[group].remedy, Remedy::Never(_));
        if !never && self.named.iter().any(|named| named == name) {
            return &ALLOW;
        }
        &self.rules[group]
    }
}

fn group_rule(group: &Group, request: &Request<'_>) -> Rule {
    let held = Granted {
        capabilities: request.capabilities,
        datagrams: request.datagrams,
        groups: request.groups,
        fast_open: request.fast_open,
    };
    let lifted = matches!(group.remedy, Remedy::Capability(names) if held.any(names));
    match group.class {
        Class::Checked(rule) => rule(held),
        _ if lifted => ALLOW,
        Class::Allow => ALLOW,
        Class::Absent => ENOSYS,
        Class::Refused => EPERM,
        Class::Fatal if request.notify => Rule::Answer(Action::UserNotif),
        Class::Fatal => Rule::Answer(Action::KillProcess),
    }
}
