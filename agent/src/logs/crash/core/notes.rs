//! The notes of a core: what the kernel wrote down of the process (fs/binfmt_elf.c).
//!
//! Invariant: pure; notes that are cut off or make no sense end the list, and what came before stands.

use super::elf::{Machine, long, word};

/// `struct elf_prstatus`: a thread, the crashed one first.
const STATUS: u32 = 1;
/// `siginfo_t` of the signal.
const SIGNAL: u32 = 0x5349_4749;
/// Which file is mapped where.
const FILES: u32 = 0x4649_4c45;

/// Where `struct elf_prstatus` has the signal and the registers (linux/elfcore.h, 64 bits).
const CURRENT_SIGNAL: usize = 12;
const REGISTERS: usize = 112;

/// Most mappings that are kept: vm.max_map_count is 65530 by default.
const MAPPINGS: u64 = 65_536;

/// The registers that say where a thread was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Registers {
    /// The instruction.
    pub(super) instruction: u64,
    /// The frame.
    pub(super) frame: u64,
    /// The top of the stack.
    pub(super) stack: u64,
    /// Where the innermost function returns to, on machines that keep it in a register.
    pub(super) link: Option<u64>,
}

/// A mapped file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Which of the paths.
    pub(super) path: usize,
}

/// Everything that is wanted of them.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) signal: i32,
    pub(super) address: Option<u64>,
    pub(super) registers: Option<Registers>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) paths: Vec<String>,
}

/// Read them.
pub(super) fn read(mut bytes: &[u8], machine: Machine) -> Notes {
    let mut notes = Notes::default();
    while let Some((kind, content, rest)) = next(bytes) {
        match kind {
            STATUS if notes.registers.is_none() => {
                notes.signal = word(content, CURRENT_SIGNAL).map_or(0, |two| i32::from(two as i16));
                notes.registers = registers(content, machine);
            }
            SIGNAL => notes.address = address(content),
            FILES if notes.mappings.is_empty() => {
                (notes.mappings, notes.paths) = files(content).unwrap_or_default();
            }
            _ => {}
        }
        bytes = rest;
    }
    notes
}

/// The first note of the kernel's own, and what follows it.
fn next(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (name, content, kind) = (word(bytes, 0)?, word(bytes, 4)?, word(bytes, 8)?);
    let padded = |size: u32| usize::try_from(size).ok()?.checked_next_multiple_of(4);
    let start = padded(name)?.checked_add(12)?;
    let content_end = start.checked_add(usize::try_from(content).ok()?)?;
    // Nothing is behind the last one, not even its padding.
    let rest = bytes.get(start.checked_add(padded(content)?)?..).unwrap_or_default();
    let is_kernels = bytes.get(12..)?.starts_with(b"CORE\0");
    let kind = if is_kernels { kind } else { 0 };
    Some((kind, bytes.get(start..content_end)?, rest))
}

fn registers(status: &[u8], machine: Machine) -> Option<Registers> {
    let register = |number: usize| long(status, REGISTERS + 8 * number);
    Some(match machine {
        // struct user_regs_struct: rbp, rip and rsp.
        Machine::X86 => Registers {
            frame: register(4)?,
            instruction: register(16)?,
            stack: register(19)?,
            link: None,
        },
        // struct user_pt_regs: x29, pc, sp and x30.
        Machine::Arm => Registers {
            frame: register(29)?,
            instruction: register(32)?,
            stack: register(31)?,
            link: Some(register(30)?),
        },
    })
}

/// The address that a signal of the processor's is about (sigaction(2), si_addr). One that a process
/// sent (si_code up to 0) is about none.
fn address(signal: &[u8]) -> Option<u64> {
    const ILL: u32 = 4;
    const BUS: u32 = 7;
    const FPE: u32 = 8;
    const SEGV: u32 = 11;
    let code = word(signal, 8)?.cast_signed();
    let faults = matches!(word(signal, 0)?, ILL | BUS | FPE | SEGV) && code > 0;
    // SI_KERNEL: the processor did not say which.
    (faults && code != 0x80).then(|| long(signal, 16)).flatten()
}

/// How many, the size of a page; for each start, end, and place in the file; the paths.
fn files(content: &[u8]) -> Option<(Vec<Mapping>, Vec<String>)> {
    let count = usize::try_from(long(content, 0)?.min(MAPPINGS)).ok()?;
    let mut texts = content.get(16 + 24 * count..)?;
    let mut mappings = Vec::new();
    let mut paths: Vec<String> = Vec::new();
    for index in 0..count {
        let at = 16 + 24 * index;
        let end = texts.iter().position(|byte| *byte == 0)?;
        let path = String::from_utf8_lossy(&texts[..end]).into_owned();
        texts = &texts[end + 1..];
        // Those of one file follow each other.
        if paths.last() != Some(&path) {
            paths.push(path);
        }
        let (start, end) = (long(content, at)?, long(content, at + 8)?);
        mappings.push(Mapping { start, end, path: paths.len() - 1 });
    }
    Some((mappings, paths))
}
