//! What a filter answers: the language between the policy and the instructions.
//!
//! Invariant: a rule reads at most the low 32 bits of an argument. The kernel takes every argument
//! the rules look at as an `int` or less, or itself refuses the upper half, so a comparison of all
//! 64 bits could be dodged by setting it (CVE-2019-10063). Never refers to a call by name.

/// `SECCOMP_RET_*`, see seccomp(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Allow,
    /// The call fails with this number, without being made.
    Errno(u16),
    /// The supervisor is asked.
    UserNotif,
    /// The whole process ends with SIGSYS.
    KillProcess,
}

impl Action {
    /// The value the filter returns.
    pub(super) fn value(self) -> u32 {
        match self {
            Action::Allow => 0x7fff_0000,
            Action::Errno(number) => 0x0005_0000 | u32::from(number),
            Action::UserNotif => 0x7fc0_0000,
            Action::KillProcess => 0x8000_0000,
        }
    }
}

/// The answer to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    Answer(Action),
    /// Compares the masked low half of an argument with each arm, first match first.
    Switch {
        argument: u8,
        mask: u32,
        arms: Vec<(u32, Rule)>,
        otherwise: Box<Rule>,
    },
}

pub(super) const ALLOW: Rule = Rule::Answer(Action::Allow);
/// The caller may not.
pub(super) const EPERM: Rule = Rule::Answer(Action::Errno(1));
/// What a kernel without the call answers.
pub(super) const ENOSYS: Rule = Rule::Answer(Action::Errno(38));

impl Rule {
    /// `then` if the masked argument is one of `values`, else `otherwise`.
    pub(super) fn one_of(
        argument: u8,
        mask: u32,
        values: &[u32],
        then: Rule,
        otherwise: Rule,
    ) -> Rule {
        let arms = values.iter().map(|&value| (value, then.clone())).collect();
        Rule::Switch { argument, mask, arms, otherwise: Box::new(otherwise) }
    }

    /// `then` if none of `bits` is set, else `otherwise`.
    pub(super) fn clear(argument: u8, bits: u32, then: Rule, otherwise: Rule) -> Rule {
        Rule::one_of(argument, bits, &[0], then, otherwise)
    }
}

/// The numbers from `first` up to the next range, which share a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u32,
    pub(super) rule: Rule,
}
