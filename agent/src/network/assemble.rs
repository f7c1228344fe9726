//! eBPF instructions by their meaning (RFC 9669), with labels for jumps.
//!
//! Invariant: jumps go forward only, so every program ends. Knows nothing of rules.

use host_sys::bpf::Instruction;

/// A register. r0 holds results, r1 to r5 arguments that calls destroy, r6 to r9 survive calls,
/// r10 points behind the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Register(u8);

pub(super) const R0: Register = Register(0);
pub(super) const R1: Register = Register(1);
pub(super) const R2: Register = Register(2);
pub(super) const R3: Register = Register(3);
pub(super) const R4: Register = Register(4);
pub(super) const R5: Register = Register(5);
pub(super) const R6: Register = Register(6);
pub(super) const R7: Register = Register(7);
pub(super) const R8: Register = Register(8);
pub(super) const R9: Register = Register(9);
pub(super) const STACK: Register = Register(10);

/// Bytes of a memory access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Byte,
    Half,
    Word,
    Double,
}

impl Size {
    fn bits(self) -> u8 {
        match self {
            Size::Word => 0x00,
            Size::Half => 0x08,
            Size::Byte => 0x10,
            Size::Double => 0x18,
        }
    }
}

/// Functions of the kernel (bpf-helpers(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    MapLookup = 1,
    MapUpdate = 2,
    /// Nanoseconds since boot.
    Clock = 5,
    LoadPacket = 26,
    FullSocket = 95,
    /// The number kept for a socket.
    SocketStorage = 107,
}

/// A place that jumps lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program being written.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    code: Vec<Instruction>,
    jumps: Vec<(usize, Label)>,
    places: Vec<usize>,
}

const UNPLACED: usize = usize::MAX;

const LDX_MEM: u8 = 0x61;
const STX_MEM: u8 = 0x63;
const ST_MEM: u8 = 0x62;
const MOV64_IMM: u8 = 0xb7;
const MOV64_REG: u8 = 0xbf;
const ADD64_IMM: u8 = 0x07;
const MOV32_REG: u8 = 0xbc;
const AND32_IMM: u8 = 0x54;
const LSH32_IMM: u8 = 0x64;
const SUB32_REG: u8 = 0x1c;
const SUB32_IMM: u8 = 0x14;
const RSH64_IMM: u8 = 0x77;
const RSH64_REG: u8 = 0x7f;
/// To big-endian order, which is from it, too.
const SWAP: u8 = 0xdc;
const JGT64_REG: u8 = 0x2d;
// Class JMP32 (0x06).
const JGT32_IMM: u8 = 0x26;
const JEQ32_IMM: u8 = 0x16;
const JNE32_REG: u8 = 0x5e;
const JNE32_IMM: u8 = 0x56;
const JEQ64_IMM: u8 = 0x15;
const JUMP: u8 = 0x05;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const LOAD_IMM64: u8 = 0x18;
/// Marks the immediate of [`LOAD_IMM64`] as a descriptor of a map.
const PSEUDO_MAP: u8 = 1;

impl Assembler {
    pub(super) fn label(&mut self) -> Label {
        self.places.push(UNPLACED);
        Label(self.places.len() - 1)
    }

    /// Let `label` mean the next instruction.
    pub(super) fn place(&mut self, label: Label) {
        self.places[label.0] = self.code.len();
    }

    fn push(&mut self, code: u8, to: Register, from: Register, offset: i16, immediate: u32) {
        let registers = from.0 << 4 | to.0;
        self.code.push(Instruction { code, registers, offset, immediate: immediate as i32 });
    }

    /// `to = *(from + offset)`.
    pub(super) fn load(&mut self, size: Size, to: Register, from: Register, offset: i16) {
        self.push(LDX_MEM | size.bits(), to, from, offset, 0);
    }

    /// `*(to + offset) = from`.
    pub(super) fn store(&mut self, size: Size, to: Register, offset: i16, from: Register) {
        self.push(STX_MEM | size.bits(), to, from, offset, 0);
    }

    /// `*(to + offset) = value`.
    pub(super) fn store_value(&mut self, size: Size, to: Register, offset: i16, value: u32) {
        self.push(ST_MEM | size.bits(), to, R0, offset, value);
    }

    pub(super) fn copy(&mut self, to: Register, from: Register) {
        self.push(MOV64_REG, to, from, 0, 0);
    }

    /// The lower half, the upper one becomes 0.
    pub(super) fn copy_word(&mut self, to: Register, from: Register) {
        self.push(MOV32_REG, to, from, 0, 0);
    }

    pub(super) fn set(&mut self, to: Register, value: u32) {
        // The 32-bit form: its result is never sign-extended.
        self.push(0xb4, to, R0, 0, value);
    }

    pub(super) fn add(&mut self, to: Register, value: i32) {
        self.push(ADD64_IMM, to, R0, 0, value as u32);
    }

    pub(super) fn and(&mut self, to: Register, mask: u32) {
        self.push(AND32_IMM, to, R0, 0, mask);
    }

    pub(super) fn shift_left(&mut self, to: Register, bits: u32) {
        self.push(LSH32_IMM, to, R0, 0, bits);
    }

    /// All 64 bits.
    pub(super) fn shift_right(&mut self, to: Register, bits: u32) {
        self.push(RSH64_IMM, to, R0, 0, bits);
    }

    /// The lower halves.
    pub(super) fn subtract(&mut self, to: Register, from: Register) {
        self.push(SUB32_REG, to, from, 0, 0);
    }

    /// The lower half.
    pub(super) fn subtract_value(&mut self, to: Register, value: u32) {
        self.push(SUB32_IMM, to, R0, 0, value);
    }

    /// All 64 bits, by as many as the other register says.
    pub(super) fn shift_right_by(&mut self, to: Register, from: Register) {
        self.push(RSH64_REG, to, from, 0, 0);
    }

    /// 16 bits from the order of the network to the host's.
    pub(super) fn reorder(&mut self, to: Register) {
        self.push(SWAP, to, R0, 0, 16);
    }

    /// All 64 bits.
    pub(super) fn set_double(&mut self, to: Register, value: u64) {
        self.push(LOAD_IMM64, to, R0, 0, value as u32);
        self.push(0, R0, R0, 0, (value >> 32) as u32);
    }

    /// Jump if the register's lower half is more than `value`.
    pub(super) fn if_more(&mut self, register: Register, value: u32, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.push(JGT32_IMM, register, R0, 0, value);
    }

    /// Jump if `one` points behind `other`.
    pub(super) fn if_behind(&mut self, one: Register, other: Register, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.push(JGT64_REG, one, other, 0, 0);
    }

    /// Jump if the lower halves differ.
    pub(super) fn if_unlike(&mut self, one: Register, other: Register, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.push(JNE32_REG, one, other, 0, 0);
    }

    /// Jump if the register's lower half is `value`.
    pub(super) fn if_is(&mut self, register: Register, value: u32, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.push(JEQ32_IMM, register, R0, 0, value);
    }

    /// Jump if the register's lower half is not `value`.
    pub(super) fn if_not(&mut self, register: Register, value: u32, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.push(JNE32_IMM, register, R0, 0, value);
    }

    /// Jump if the register holds no pointer.
    pub(super) fn if_null(&mut self, register: Register, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.push(JEQ64_IMM, register, R0, 0, 0);
    }

    pub(super) fn jump(&mut self, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.push(JUMP, R0, R0, 0, 0);
    }

    pub(super) fn call(&mut self, function: Call) {
        self.push(CALL, R0, R0, 0, function as u32);
    }

    /// `to` becomes the map behind a descriptor.
    pub(super) fn map(&mut self, to: Register, descriptor: i32) {
        self.push(LOAD_IMM64, to, Register(PSEUDO_MAP), 0, descriptor as u32);
        self.push(0, R0, R0, 0, 0);
    }

    /// End with this answer.
    pub(super) fn answer(&mut self, value: u32) {
        self.push(MOV64_IMM, R0, R0, 0, value);
        self.push(EXIT, R0, R0, 0, 0);
    }

    /// The program; `None` if a jump is longer than the instruction set allows. What no jump leads
    /// to is left out: the kernel refuses programs with such.
    pub(super) fn finish(mut self) -> Option<Vec<Instruction>> {
        let mut targets = vec![None; self.code.len()];
        for (at, label) in &self.jumps {
            let place = self.places[label.0];
            assert!(place != UNPLACED && place > *at, "every label is placed behind its jumps");
            targets[*at] = Some(place);
        }
        let mut reached = vec![false; self.code.len() + 1];
        reached[0] = true;
        for at in 0..self.code.len() {
            if reached[at] {
                let leaves = matches!(self.code[at].code, JUMP | EXIT);
                reached[at + 1] |= !leaves;
                targets[at].into_iter().for_each(|target| reached[target] = true);
            }
        }
        let moved: Vec<usize> = reached
            .iter()
            .scan(0, |next, reached| {
                let place = *next;
                *next += usize::from(*reached);
                Some(place)
            })
            .collect();
        for (at, target) in targets.iter().enumerate().filter(|(at, _)| reached[*at]) {
            if let Some(target) = target {
                self.code[at].offset = i16::try_from(moved[*target] - moved[at] - 1).ok()?;
            }
        }
        let code = self.code.into_iter().zip(reached);
        Some(code.filter(|(_, reached)| *reached).map(|(one, _)| one).collect())
    }
}
