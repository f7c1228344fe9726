//! The program that sees a socket being made: struct bpf_sock of linux/bpf.h.
//!
//! Invariant: only sockets whose sending the other programs judge come to be. A packet of another
//! protocol would pass unseen where no program looks at what leaves.

use host_sys::bpf::Instruction;

use super::super::assemble::{Assembler, R1, R2, Size};
use super::{PASS, TCP, UDP};

const PROTOCOL: i16 = 12;
/// IPPROTO_MPTCP: connects and binds as TCP does.
const MPTCP: u32 = 262;

pub(super) fn create() -> Option<Vec<Instruction>> {
    let mut code = Assembler::default();
    let known = code.label();
    code.load(Size::Word, R2, R1, PROTOCOL);
    for protocol in [TCP, UDP, MPTCP] {
        code.if_is(R2, protocol, known);
    }
    code.answer(0);
    code.place(known);
    code.answer(PASS);
    code.finish()
}
