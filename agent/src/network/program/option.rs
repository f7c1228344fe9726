//! The program that sees socket options: struct bpf_sockopt of linux/bpf.h.
//!
//! Invariant: an option that passes, passes as it is. Remembers of each socket whether it was said
//! to be for IPv6 alone (IPV6_V6ONLY of ipv6(7)), which no other hook can see. Refuses, where no
//! program looks at packets, what gives a socket a route of its own (IP_OPTIONS of ip(7), RFC 3542).

use host_sys::bpf::Instruction;

use super::super::assemble::{Assembler, Call, Label, R0, R1, R2, R3, R4, R6, R7, R8, R9, Size};

const SOCKET: i16 = 0;
const VALUE: i16 = 8;
const VALUE_END: i16 = 16;
const LEVEL: i16 = 24;
const OPTION: i16 = 28;
const LENGTH: i16 = 32;

const SOL_IP: u32 = 0;
const SOL_IPV6: u32 = 41;
const IP_OPTIONS: u32 = 4;
/// What puts extension headers into packets: IPV6_2292PKTOPTIONS, IPV6_FLOWLABEL_MGR (a label can
/// bring a route along), IPV6_HOPOPTS, IPV6_RTHDRDSTOPTS, IPV6_RTHDR, IPV6_DSTOPTS.
const HEADERS: [u32; 6] = [6, 32, 54, 55, 57, 59];
const IPV6_V6ONLY: u32 = 26;
/// BPF_SK_STORAGE_GET_F_CREATE.
const CREATE: u32 = 1;
/// What the kernel shows of an option's value at most.
const PAGE: u32 = 4096;

pub(super) fn watch(v6_only: Option<i32>, no_routes: bool) -> Option<Vec<Instruction>> {
    let mut code = Assembler::default();
    let (pass, short, refuse) = (code.label(), code.label(), code.label());
    code.copy(R6, R1);
    code.load(Size::Word, R3, R6, LEVEL);
    code.load(Size::Word, R2, R6, OPTION);
    if no_routes {
        let other = code.label();
        code.if_not(R3, SOL_IP, other);
        code.if_is(R2, IP_OPTIONS, refuse);
        code.jump(pass);
        code.place(other);
    }
    code.if_not(R3, SOL_IPV6, pass);
    if no_routes {
        HEADERS.into_iter().for_each(|option| code.if_is(R2, option, refuse));
    }
    if let Some(v6_only) = v6_only {
        remember(&mut code, v6_only, pass);
    }
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
    code.place(refuse);
    code.answer(0);
    code.finish()
}

/// If the option, in r2, says it, keep whether the socket is for IPv6 alone.
fn remember(code: &mut Assembler, v6_only: i32, pass: Label) {
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
}
