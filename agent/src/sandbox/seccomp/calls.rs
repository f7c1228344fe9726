//! The names and numbers of system calls.
//!
//! Owns the two tables (kernel 6.18) and the lookups in them. Invariant: within an architecture a
//! number has one name and a name one number. Never says what a call may do.

mod tables;

use tables::{AARCH64_RUNS, X86_64_RUNS};

#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_endian = "little")))]
compile_error!("the system call filter has tables for little-endian x86_64 and aarch64 only");

/// Consecutive numbers, so that a table reads as a list of names.
struct Run {
    first: u32,
    /// Separated by white space.
    names: &'static str,
}

/// A system call convention.
pub(super) struct Architecture {
    /// `AUDIT_ARCH_*`: how seccomp names the convention a call was made under.
    pub(super) audit: u32,
    /// Whether numbers with `__X32_SYSCALL_BIT` exist.
    pub(super) x32: bool,
    runs: &'static [Run],
}

pub(super) const X86_64: Architecture =
    Architecture { audit: 0xc000_003e, x32: true, runs: X86_64_RUNS };
pub(super) const AARCH64: Architecture =
    Architecture { audit: 0xc000_00b7, x32: false, runs: AARCH64_RUNS };

/// The convention this program was built for.
pub(super) const NATIVE: &Architecture =
    if cfg!(target_arch = "aarch64") { &AARCH64 } else { &X86_64 };

impl Architecture {
    /// Every call, by rising number.
    pub(super) fn calls(&self) -> impl Iterator<Item = (u32, &'static str)> + use<> {
        self.runs.iter().flat_map(|run| (run.first..).zip(run.names.split_ascii_whitespace()))
    }
}

/// The name of a call of this machine's architecture.
pub fn name_of(number: u32) -> Option<&'static str> {
    NATIVE.calls().find(|(candidate, _)| *candidate == number).map(|(_, name)| name)
}

/// Whether a supported architecture has a call of this name.
pub fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// The known call an unknown name was probably meant to be.
pub fn nearest(name: &str) -> Option<&'static str> {
    let tolerated = name.len() / 3;
    names()
        // A name from a manifest can have any length; the table's are short.
        .filter(|known| known.len().abs_diff(name.len()) <= tolerated)
        .map(|known| (edits(name, known), known))
        .filter(|(edits, _)| *edits <= tolerated)
        .min()
        .map(|(_, known)| known)
}

fn names() -> impl Iterator<Item = &'static str> {
    X86_64.calls().chain(AARCH64.calls()).map(|(_, name)| name)
}

/// Levenshtein distance in bytes: names of calls are ASCII.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (removed, from) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = removed + 1;
        for (column, to) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}
