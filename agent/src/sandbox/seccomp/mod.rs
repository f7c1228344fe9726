//! The system call filter of a sandbox, as a value.
//!
//! Owns the decision which calls a program may make and the classic BPF program that says so.
//! Invariant: deny by default. A call the tables do not know answers ENOSYS, as on an older kernel,
//! so libraries fall back; a foreign architecture ends the process. The same request always gives
//! the same program. Never installs anything, never asks the host, never looks behind a pointer:
//! a call whose danger lies in memory the filter cannot read is hidden as a whole.
//!
//! | file | says |
//! | --- | --- |
//! | `calls` | names and numbers, per architecture |
//! | `policy` | which group a call belongs to and what lifts a denial |
//! | `arguments` | the calls whose answer depends on their arguments |
//! | `rule` | the small language the two are written in |
//! | `assemble` | rules to instructions |

mod arguments;
mod assemble;
mod calls;
mod policy;
mod rule;

#[cfg(test)]
mod tests;

use std::fmt;

pub use assemble::Instruction;
pub use calls::{is_known, name_of, nearest};
pub use policy::{Remedy, remedy};

use calls::{Architecture, NATIVE};
use policy::Policy;
use rule::{Action, ENOSYS, Range, Rule};

/// `__X32_SYSCALL_BIT`: the 32-bit-pointer variant of the x86_64 calls.
const X32: u32 = 0x4000_0000;
/// A tracer that skips a call sets its number to -1, and the filter then runs on that.
const SKIPPED: u32 = u32::MAX;
/// `BPF_MAXINSNS`: the kernel refuses a longer program.
const MAX_INSTRUCTIONS: usize = 4096;

/// What a sandbox asks of its filter.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Capabilities the program keeps, `CAP_SYS_ADMIN` and its kin; each lifts the denials of the
    /// calls the kernel itself guards with it.
    pub capabilities: &'a [String],
    /// Calls allowed by name, whatever their arguments. A call whose remedy is [`Remedy::Never`]
    /// stays denied.
    pub syscalls: &'a [String],
    /// Whether UDP sockets may be opened: where nothing else keeps them to ports and destinations,
    /// only a program that is granted some may have them.
    pub datagrams: bool,
    /// Whether multicast groups may be joined.
    pub groups: bool,
    /// Whether TCP may connect by sending (MSG_FASTOPEN).
    pub fast_open: bool,
    /// Whether a supervisor listens: a fatal call is then reported to it (`SECCOMP_RET_USER_NOTIF`)
    /// instead of ending the process unexplained. The supervisor must never answer "continue".
    pub notify: bool,
}

/// A name under `[access] syscalls` that is no system call of any supported architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCall {
    /// The name as written.
    pub name: String,
    /// The call that was probably meant.
    pub nearest: Option<&'static str>,
}

impl fmt::Display for UnknownCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown system call {:?}", self.name)?;
        match self.nearest {
            Some(nearest) => write!(f, "; did you mean {nearest:?}?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnknownCall {}

/// Compiles the filter for this machine's architecture.
///
/// # Errors
/// A name in `request.syscalls` that no supported architecture has. A name only another one has
/// (`open` on aarch64) is accepted and changes nothing, so that a manifest fits both.
pub fn compile(request: &Request<'_>) -> Result<Vec<Instruction>, UnknownCall> {
    compile_for(NATIVE, request)
}

fn compile_for(
    architecture: &Architecture,
    request: &Request<'_>,
) -> Result<Vec<Instruction>, UnknownCall> {
    if let Some(name) = request.syscalls.iter().find(|name| !is_known(name)) {
        return Err(UnknownCall { name: name.clone(), nearest: nearest(name) });
    }
    let program = assemble::program(architecture.audit, &ranges(architecture, request));
    assert!(
        program.len() <= MAX_INSTRUCTIONS,
        "a few hundred calls make a few hundred ranges, each of a few instructions"
    );
    Ok(program)
}

/// The rule of every number there is, neighbours with the same rule merged.
fn ranges(architecture: &Architecture, request: &Request<'_>) -> Vec<Range> {
    let policy = Policy::new(request);
    let mut ranges = vec![Range { first: 0, rule: ENOSYS }];
    let mut append = |first: u32, rule: &Rule| match ranges.last_mut() {
        Some(last) if last.rule == *rule => {}
        Some(last) if last.first == first => last.rule = rule.clone(),
        _ => ranges.push(Range { first, rule: rule.clone() }),
    };
    let mut next = 0;
    for (number, name) in architecture.calls() {
        if number > next {
            append(next, &ENOSYS);
        }
        append(number, policy.rule(name));
        next = number + 1;
    }
    append(next, &ENOSYS);
    if architecture.x32 {
        append(X32, &Rule::Answer(Action::KillProcess));
        append(SKIPPED, &ENOSYS);
    }
    ranges
}
