//! Rules to classic BPF.
//!
//! Owns the instruction encoding and the layout: architecture check, a balanced tree of comparisons
//! over the call numbers, then the blocks that look at arguments and the answers. Invariant: every
//! path ends in a return, and jumps only go forward; the program is written back to front so that
//! a target exists before the jump to it. Never decides anything.
//!
//! Until a rule reads an argument, only loads of the number and the architecture, comparisons and
//! jumps occur: the form in which the kernel (5.11 and later) finds out beforehand which calls are
//! always allowed and then skips the filter for them.

use std::collections::HashMap;

use super::rule::{Action, Range, Rule};

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_ANY_SET: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// One instruction, `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip if the comparison holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// The program that answers each number by its range; the first range starts at 0.
pub(super) fn program(architecture: u32, ranges: &[Range]) -> Vec<Instruction> {
    let mut assembler = Assembler::default();
    let kill = assembler.rule(&Rule::Answer(Action::KillProcess));
    let targets: Vec<(u32, Label)> =
        ranges.iter().map(|range| (range.first, assembler.rule(&range.rule))).collect();
    let tree = assembler.tree(&targets);
    assembler.fall_into(tree);
    let number = assembler.push(LOAD, NUMBER);
    assembler.branch(JUMP_EQUAL, architecture, number, kill);
    assembler.push(LOAD, ARCHITECTURE);
    assembler.finish()
}

/// An instruction already written, by its distance from the program's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Label(usize);

#[derive(Default)]
struct Assembler {
    /// The program so far, last instruction first.
    reversed: Vec<Instruction>,
    /// Where each distinct rule stands, so that equal rules share their instructions.
    placed: Vec<(Rule, Label)>,
    /// The latest stand-in for a target that was out of a comparison's reach.
    stand_ins: HashMap<Label, Label>,
}

impl Assembler {
    fn rule(&mut self, rule: &Rule) -> Label {
        if let Some((_, label)) = self.placed.iter().find(|(placed, _)| placed == rule) {
            return *label;
        }
        let label = match rule {
            Rule::Answer(action) => self.push(RETURN, action.value()),
            Rule::Switch { argument, mask, arms, otherwise } => {
                self.switch(*argument, *mask, arms, otherwise)
            }
        };
        self.placed.push((rule.clone(), label));
        label
    }

    fn switch(&mut self, argument: u8, mask: u32, arms: &[(u32, Rule)], otherwise: &Rule) -> Label {
        let mut next = self.rule(otherwise);
        let targets: Vec<(u32, Label)> =
            arms.iter().map(|(value, rule)| (*value, self.rule(rule))).collect();
        if let [(0, clear)] = targets[..] {
            let test = self.branch(JUMP_ANY_SET, mask, next, clear);
            self.fall_into(test);
        } else {
            for &(value, target) in targets.iter().rev() {
                next = self.branch(JUMP_EQUAL, value, target, next);
            }
            self.fall_into(next);
            if mask != u32::MAX {
                self.push(AND, mask);
            }
        }
        // Little-endian, as both supported architectures are: the low half comes first.
        self.push(LOAD, ARGUMENTS + 8 * u32::from(argument))
    }

    /// Finds the last target whose first number is not above the call's.
    fn tree(&mut self, targets: &[(u32, Label)]) -> Label {
        if let [(_, target)] = targets {
            return *target;
        }
        let (below, above) = targets.split_at(targets.len() / 2);
        let pivot = above[0].0;
        let above = self.tree(above);
        let below = self.tree(below);
        self.branch(JUMP_AT_LEAST, pivot, above, below)
    }

    fn branch(&mut self, code: u16, k: u32, holds: Label, fails: Label) -> Label {
        let holds = self.within_reach(holds);
        let fails = self.within_reach(fails);
        let offset = |target: Label| {
            u8::try_from(self.reversed.len() - target.0 - 1)
                .expect("within_reach leaves a byte-sized distance")
        };
        let (jt, jf) = (offset(holds), offset(fails));
        self.write(Instruction { code, jt, jf, k })
    }

    /// The target, or a stand-in for it, near enough for a comparison that is at most one
    /// instruction away: its other side may need a stand-in too.
    fn within_reach(&mut self, target: Label) -> Label {
        let near = |label: &Label| self.reversed.len() - label.0 <= usize::from(u8::MAX);
        let known = self.stand_ins.get(&target).copied();
        if let Some(label) = [Some(target), known].into_iter().flatten().find(near) {
            return label;
        }
        let stand_in = match self.reversed[target.0] {
            answer if answer.code == RETURN => self.write(answer),
            _ => self.jump(target),
        };
        self.stand_ins.insert(target, stand_in);
        stand_in
    }

    /// Makes `target` what runs after the instruction written next.
    fn fall_into(&mut self, target: Label) {
        if target.0 + 1 != self.reversed.len() {
            self.jump(target);
        }
    }

    fn jump(&mut self, target: Label) -> Label {
        let distance = u32::try_from(self.reversed.len() - target.0 - 1)
            .expect("a program is far shorter than 2^32 instructions");
        self.push(JUMP, distance)
    }

    fn push(&mut self, code: u16, k: u32) -> Label {
        self.write(Instruction { code, jt: 0, jf: 0, k })
    }

    fn write(&mut self, instruction: Instruction) -> Label {
        self.reversed.push(instruction);
        Label(self.reversed.len() - 1)
    }

    fn finish(mut self) -> Vec<Instruction> {
        self.reversed.reverse();
        self.reversed
    }
}
