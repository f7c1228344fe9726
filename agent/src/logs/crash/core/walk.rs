//! From frame to frame by frame pointers, as `-fno-omit-frame-pointer` leaves them.
//!
//! Invariant: each frame lies above the one before, and returns into code, or the walk ends: a program
//! that uses the register otherwise gives a short backtrace, never an endless one.
//!
//! Both machines keep the caller's frame pointer at the frame pointer, and behind it the address to
//! return to (System V ABI, AMD64 supplement, 3.2.2; AAPCS64, 6.4.6).

use super::elf::Machine;
use super::notes::Registers;
use super::{FRAMES, Memory};

/// The addresses of the frames, the innermost first.
pub(super) fn frames(memory: &Memory<'_>, machine: Machine, registers: &Registers) -> Vec<u64> {
    let mut found = vec![registers.instruction];
    if !memory.is_code(registers.instruction)
        && let Some(caller) = caller_of_nothing(memory, machine, registers)
    {
        found.push(caller);
    }
    let mut frame = registers.frame;
    let mut floor = registers.stack;
    while found.len() < FRAMES && frame >= floor && frame.is_multiple_of(8) {
        let (Some(next), Some(behind)) = (memory.word(frame), frame.checked_add(8)) else { break };
        let Some(back) = memory.word(behind).map(|back| plain(back, machine)) else { break };
        if !memory.is_code(back) {
            break;
        }
        found.push(back);
        floor = behind;
        frame = next;
    }
    found
}

/// Who called what is no code: a null pointer, say. Nothing was pushed since the call.
fn caller_of_nothing(memory: &Memory<'_>, machine: Machine, registers: &Registers) -> Option<u64> {
    let back = match machine {
        Machine::X86 => memory.word(registers.stack)?,
        Machine::Arm => plain(registers.link?, machine),
    };
    memory.is_code(back).then_some(back)
}

/// An address without the signature that aarch64 may put into its upper bits (pointer
/// authentication; addresses of programs have 48 bits, or 52 with LVA, which is never used unasked).
fn plain(address: u64, machine: Machine) -> u64 {
    match machine {
        Machine::X86 => address,
        Machine::Arm => address & ((1 << 48) - 1),
    }
}
