//! Tests of the filter, run by an interpreter of classic BPF instead of a kernel.

mod golden;
mod interpreter;
mod names;
mod program;
mod promises;

use super::calls::{AARCH64, Architecture, X86_64};
use super::rule::{Action, Rule};
use super::{Instruction, Request, compile_for};
use interpreter::{Data, run};

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const NOTIFY: u32 = 0x7fc0_0000;
const ARCHITECTURES: [&Architecture; 2] = [&X86_64, &AARCH64];

const fn errno(number: u32) -> u32 {
    0x0005_0000 | number
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A filter with the notification on, as the sandbox uses it.
fn filter(
    architecture: &Architecture,
    capabilities: &[&str],
    syscalls: &[&str],
) -> Vec<Instruction> {
    let (capabilities, syscalls) = (strings(capabilities), strings(syscalls));
    let request = Request {
        capabilities: &capabilities,
        syscalls: &syscalls,
        datagrams: true,
        groups: true,
        fast_open: true,
        notify: true,
    };
    compile_for(architecture, &request).unwrap()
}

/// The names of every architecture, sorted, each once.
fn call_names() -> Vec<&'static str> {
    let mut names: Vec<&str> =
        ARCHITECTURES.iter().flat_map(|each| each.calls()).map(|(_, name)| name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn number_of(architecture: &Architecture, name: &str) -> Option<u32> {
    architecture.calls().find(|(_, call)| *call == name).map(|(number, _)| number)
}

/// What a native call with these arguments is answered.
fn answer(
    architecture: &Architecture,
    program: &[Instruction],
    name: &str,
    arguments: &[u64],
) -> u32 {
    let number = number_of(architecture, name).unwrap();
    run(program, &Data::native(architecture, number, arguments))
}
