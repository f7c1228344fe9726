//! Comparing a port with many.
//!
//! Invariant: the verifier's work grows with how far the ports are apart, not with their number:
//! those within 64 of one another are bits of one word.

use super::super::assemble::{Assembler, Label, R0, R1, Register};

/// Bits of a word.
const WINDOW: u16 = 64;

/// Jump to `found` if the port in the register, in host order, is one of these. r0 and r1 are
/// scratch.
pub(super) fn if_one_of(code: &mut Assembler, port: Register, ports: &[u16], found: Label) {
    let mut sorted = ports.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut rest = &sorted[..];
    while let Some(first) = rest.first() {
        let (near, far) = rest.split_at(rest.partition_point(|port| port - first < WINDOW));
        rest = far;
        if near.len() == 1 {
            code.if_is(port, u32::from(*first), found);
            continue;
        }
        let next = code.label();
        code.copy_word(R1, port);
        code.subtract_value(R1, u32::from(*first));
        code.if_more(R1, u32::from(WINDOW) - 1, next);
        code.set_double(R0, near.iter().fold(0, |bits, port| bits | 1 << (port - first)));
        code.shift_right_by(R0, R1);
        code.and(R0, 1);
        code.if_is(R0, 1, found);
        code.place(next);
    }
}
