//! Programs that see a socket address: struct bpf_sock_addr of linux/bpf.h.
//!
//! The context stays in r6, the port in r7, the protocol in r9, r8 is scratch. An IPv4 address is in
//! r2; an IPv6 one in r2 to r5, which holds an IPv4 address in r5 if it is a mapped one.

use std::net::Ipv6Addr;

use host_sys::bpf::{Hook, Instruction};
use manifest_spec::manifest::Protocol;

use super::super::assemble::{
    Assembler, Call, Label, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, Register, STACK, Size,
};
use super::super::rules::{Destination, OwnAddress, Reach, Rules};
use super::compare::{Address, WORDS, if_local, if_specified, reach, store};
use super::packet::SOCKET_PORT;
use super::ports::if_one_of;
use super::{CLIENT, PASS, Tables, UDP, number, wire};

const USER_IP4: i16 = 4;
const USER_IP6: i16 = 8;
const USER_PORT: i16 = 24;
const PROTOCOL: i16 = 36;
const SOCKET: i16 = 64;

/// How long a client of a UDP port can be answered, in the units of [`now`].
const REMEMBERED: u32 = 300;

/// The last word of an IPv6 address.
const LAST_WORD: i16 = USER_IP6 + 12;

/// Answers of bind hooks: bit 0 lets it pass, bit 1 does without CAP_NET_BIND_SERVICE (kernel 5.12).
const BIND: u32 = 3;
const REFUSE: u32 = 0;

const BOTH: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

/// Addresses of this family, held in registers and written back to the context.
#[derive(Clone, Copy)]
enum Family {
    /// The register that holds it, and where it is written back to.
    V4(Register, i16),
    V6,
}

/// A program for one of these hooks: `write` gives the rules for one family.
fn program(hook: Hook, write: impl Fn(&mut Assembler, Family)) -> Option<Vec<Instruction>> {
    let mut code = Assembler::default();
    code.copy(R6, R1);
    code.load(Size::Word, R7, R6, USER_PORT);
    code.load(Size::Word, R9, R6, PROTOCOL);
    if is_v4(hook) {
        code.load(Size::Word, R2, R6, USER_IP4);
        write(&mut code, Family::V4(R2, USER_IP4));
        return code.finish();
    }
    for (offset, register) in (USER_IP6..).step_by(4).zip(WORDS) {
        code.load(Size::Word, register, R6, offset);
    }
    let real = code.label();
    code.if_not(R2, 0, real);
    code.if_not(R3, 0, real);
    code.if_not(R4, 0xffff_u32.to_be(), real);
    write(&mut code, Family::V4(R5, LAST_WORD));
    code.place(real);
    write(&mut code, Family::V6);
    code.finish()
}

impl Family {
    /// Where the address is.
    fn address(self) -> Address {
        match self {
            Family::V4(register, _) => Address::V4(register),
            Family::V6 => Address::V6,
        }
    }
}

fn is_v4(hook: Hook) -> bool {
    matches!(
        hook,
        Hook::Bind4
            | Hook::Connect4
            | Hook::SendMessage4
            | Hook::ReceiveMessage4
            | Hook::PeerName4
            | Hook::SocketName4
    )
}

pub(super) fn bind(hook: Hook, rules: &Rules, tables: Tables) -> Option<Vec<Instruction>> {
    program(hook, |code, family| {
        by_protocol(code, rules, &BOTH, &mut |code, outside| match rules.own {
            Some(own) => {
                if let (Family::V6, Some(v6_only)) = (family, tables.v6_only) {
                    bind_all(code, outside, own, v6_only);
                }
                bind_own(code, family, rules, outside, own);
            }
            None => bind_as(code, outside),
        });
        if rules.reaches_something() {
            let named = code.label();
            code.if_not(R7, 0, named);
            code.answer(PASS);
            code.place(named);
        }
        code.answer(REFUSE);
    })
}

/// A granted port, on the address that is the instance's own.
fn bind_own(
    code: &mut Assembler,
    family: Family,
    rules: &Rules,
    outside: Option<u16>,
    own: OwnAddress,
) {
    if rules.alone {
        let named = code.label();
        if_specified(code, family.address(), named);
        bind_as(code, outside);
        code.place(named);
    }
    let ours = code.label();
    if_local(code, family.address(), Some(own), R8, ours);
    code.answer(REFUSE);
    code.place(ours);
    write_address(code, family, own);
    bind_as(code, outside);
}

/// All addresses by an IPv6 socket: if it is not for IPv6 alone, IPv4 clients are to reach it, who
/// know the instance's address.
fn bind_all(code: &mut Assembler, outside: Option<u16>, own: OwnAddress, v6_only: i32) {
    let (named, alone) = (code.label(), code.label());
    if_specified(code, Address::V6, named);
    code.map(R1, v6_only);
    code.load(Size::Double, R2, R6, SOCKET);
    code.set(R3, 0);
    code.set(R4, 0);
    code.call(Call::SocketStorage);
    let both = code.label();
    code.if_null(R0, both);
    code.load(Size::Word, R8, R0, 0);
    code.if_not(R8, 0, alone);
    code.place(both);
    write_v6(code, own.v4.to_ipv6_mapped());
    bind_as(code, outside);
    code.place(alone);
    write_v6(code, own.v6);
    bind_as(code, outside);
    code.place(named);
}

/// Let it pass, by the number that the host sees.
fn bind_as(code: &mut Assembler, outside: Option<u16>) {
    write_port(code, outside);
    code.answer(BIND);
}

pub(super) fn connect(hook: Hook, rules: &Rules, clients: Option<i32>) -> Option<Vec<Instruction>> {
    let protocols = match hook {
        // Only UDP sends to an address.
        Hook::SendMessage4 | Hook::SendMessage6 => &BOTH[1..],
        _ => &BOTH[..],
    };
    program(hook, |code, family| {
        let elsewhere = code.label();
        by_protocol(code, rules, protocols, &mut |code, outside| {
            let local = code.label();
            if_local(code, family.address(), rules.own, R8, local);
            code.jump(elsewhere);
            code.place(local);
            if let Some(own) = rules.own {
                write_address(code, family, own);
            }
            write_port(code, outside);
            code.answer(PASS);
        });
        code.place(elsewhere);
        match &rules.reach {
            Reach::Anywhere => code.answer(PASS),
            Reach::Only(destinations) => {
                let unknown = code.label();
                questions(code, family, destinations, unknown);
                reach(code, family.address(), destinations, R7);
                code.place(unknown);
                if let Some(clients) = clients {
                    answer_clients(code, family, rules, clients);
                }
                code.answer(REFUSE);
            }
        }
    })
}

/// What a program is told of its own ports (or, of a peer, of those of this host): its own numbers.
pub(super) fn told(hook: Hook, rules: &Rules, peer: bool) -> Option<Vec<Instruction>> {
    program(hook, |code, family| {
        for rule in rules.ports.iter().filter(|rule| rule.inside != rule.outside) {
            let next = code.label();
            code.if_not(R7, wire(rule.outside), next);
            code.if_not(R9, number(rule.protocol), next);
            if peer {
                let local = code.label();
                if_local(code, family.address(), rules.own, R8, local);
                code.answer(PASS);
                code.place(local);
            }
            code.set(R8, wire(rule.inside));
            code.store(Size::Word, R6, USER_PORT, R8);
            code.answer(PASS);
            code.place(next);
        }
        code.answer(PASS);
    })
}

/// Write what happens to a granted port, by the number it gets outside if that is another: once for
/// all that keep theirs. It must not fall through. The protocol is compared once, not for each port:
/// what is known of a register keeps the verifier from seeing that two ways to the next port are
/// one, and its time grows with their number.
fn by_protocol(
    code: &mut Assembler,
    rules: &Rules,
    protocols: &[Protocol],
    write: &mut dyn FnMut(&mut Assembler, Option<u16>),
) {
    for protocol in protocols.iter().copied() {
        let ports = || rules.ports.iter().filter(|rule| rule.protocol == protocol);
        if ports().next().is_none() {
            continue;
        }
        let (other, kept) = (code.label(), code.label());
        code.if_not(R9, number(protocol), other);
        for rule in ports().filter(|rule| rule.inside != rule.outside) {
            let next = code.label();
            code.if_not(R7, wire(rule.inside), next);
            write(code, Some(rule.outside));
            code.place(next);
        }
        let unmoved = ports().filter(|rule| rule.inside == rule.outside);
        let unmoved: Vec<_> = unmoved.map(|rule| rule.inside).collect();
        code.copy_word(R8, R7);
        code.reorder(R8);
        if_one_of(code, R8, &unmoved, kept);
        code.jump(other);
        code.place(kept);
        write(code, None);
        code.place(other);
    }
}

/// Pass if this is UDP to port 0 of an address that is granted by any port: nobody receives there,
/// and getaddrinfo(3) learns that way which of a name's addresses is nearest.
/// Else on to `unknown`.
fn questions(code: &mut Assembler, family: Family, destinations: &[Destination], unknown: Label) {
    let other = code.label();
    code.if_not(R9, UDP, other);
    code.if_not(R7, 0, other);
    let mut any: Vec<_> =
        destinations.iter().map(|one| Destination { port: None, ..*one }).collect();
    any.sort();
    any.dedup();
    reach(code, family.address(), &any, R7);
    code.jump(unknown);
    code.place(other);
}

fn write_address(code: &mut Assembler, family: Family, own: OwnAddress) {
    match family {
        Family::V4(_, offset) => {
            code.set(R8, own.v4.to_bits().to_be());
            code.store(Size::Word, R6, offset, R8);
        }
        Family::V6 => write_v6(code, own.v6),
    }
}

fn write_v6(code: &mut Assembler, address: Ipv6Addr) {
    let bits = address.to_bits();
    for (offset, shift) in (USER_IP6..).step_by(4).zip([96, 64, 32, 0]) {
        code.set(R8, ((bits >> shift) as u32).to_be());
        code.store(Size::Word, R6, offset, R8);
    }
}

fn write_port(code: &mut Assembler, outside: Option<u16>) {
    if let Some(outside) = outside {
        code.set(R8, wire(outside));
        code.store(Size::Word, R6, USER_PORT, R8);
    }
}

/// Pass if the socket is bound to a leased UDP port, and a datagram of this client arrived at one
/// not long ago.
fn answer_clients(code: &mut Assembler, family: Family, rules: &Rules, clients: i32) {
    const KEY: i16 = -(CLIENT as i16);
    let unknown = code.label();
    code.if_not(R9, UDP, unknown);
    let leased = code.label();
    code.load(Size::Double, R8, R6, SOCKET);
    code.load(Size::Word, R8, R8, SOCKET_PORT);
    for rule in rules.ports.iter().filter(|rule| rule.protocol == Protocol::Udp) {
        code.if_is(R8, u32::from(rule.outside), leased);
    }
    code.jump(unknown);
    code.place(leased);
    store(code, family.address(), KEY);
    code.store(Size::Word, STACK, KEY + 16, R7);
    code.map(R1, clients);
    code.copy(R2, STACK);
    code.add(R2, i32::from(KEY));
    code.call(Call::MapLookup);
    code.if_null(R0, unknown);
    code.load(Size::Word, R8, R0, 0);
    now(code);
    code.subtract(R0, R8);
    code.if_more(R0, REMEMBERED, unknown);
    code.answer(PASS);
    code.place(unknown);
}

/// r0 becomes the time since boot in units of 2^30 ns, about a second.
pub(super) fn now(code: &mut Assembler) {
    code.call(Call::Clock);
    code.shift_right(R0, 30);
}
