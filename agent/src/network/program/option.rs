//! The program that sees socket options: struct bpf_sockopt of linux/bpf.h.
//!
//! Invariant: lets every option pass as it is. Remembers of each socket whether it was said to be
//! for IPv6 alone (IPV6_V6ONLY of ipv6(7)), which no other hook can see.

use host_sys::bpf::Instruction;

use super::super::assemble::{Assembler, Call, R0, R1, R2, R3, R4, R6, R7, R8, R9, Size};

const SOCKET: i16 = 0;
const VALUE: i16 = 8;
const VALUE_END: i16 = 16;
const LEVEL: i16 = 24;
const OPTION: i16 = 28;
const LENGTH: i16 = 32;

const SOL_IPV6: u32 = 41;
const IPV6_V6ONLY: u32 = 26;
/// BPF_SK_STORAGE_GET_F_CREATE.
const CREATE: u32 = 1;
/// What the kernel shows of an option's value at most.
const PAGE: u32 = 4096;

pub(super) fn watch(v6_only: i32) -> Option<Vec<Instruction>> {
    let mut code = Assembler::default();
    let (pass, short) = (code.label(), code.label());
    code.copy(R6, R1);
    code.load(Size::Word, R2, R6, LEVEL);
    code.if_not(R2, SOL_IPV6, pass);
    code.load(Size::Word, R2, R6, OPTION);
    code.if_not(R2, IPV6_V6ONLY, pass);
    code.load(Size::Double, R7, R6, VALUE);
    code.load(Size::Double, R8, R6, VALUE_END);
    code.copy(R2, R7);
    code.add(R2, 4);
    code.if_behind(R2, R8, pass);
    code.load(Size::Word, R9, R7, 0);
    code.map(R1, v6_only);
    code.load(Size::Double, R2, R6, SOCKET);
    code.set(R3, 0);
    code.set(R4, CREATE);
    code.call(Call::SocketStorage);
    code.if_null(R0, pass);
    code.store(Size::Word, R0, 0, R9);
    code.place(pass);
    // Of a longer value only the beginning was copied here; 0 has the kernel read the program's.
    code.load(Size::Word, R2, R6, LENGTH);
    let long = code.label();
    code.if_more(R2, PAGE, long);
    code.jump(short);
    code.place(long);
    code.set(R2, 0);
    code.store(Size::Word, R6, LENGTH, R2);
    code.place(short);
    code.answer(1);
    code.finish()
}
