//! Programs that see packets: struct __sk_buff of linux/bpf.h, which starts at the IP header.
//!
//! What a socket may send where is decided when it is bound and connected ([`super::address`]).
//! Packets are looked at for what no such call shows: the interface; a socket that listens without
//! having been bound; a datagram to a socket that only sends; a route that the sender prescribes.
//!
//! The context stays in r6, the socket in r7.

use host_sys::bpf::Instruction;
use manifest_spec::manifest::Protocol;

use super::super::assemble::{
    Assembler, Call, Label, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, STACK, Size,
};
use super::super::rules::{Reach, Rules};
use super::address::now;
use super::compare::{Address, if_local, reach, store};
use super::ports::if_one_of;
use super::{CLIENT, PASS, Routes, TCP, UDP, number, wire};

/// struct __sk_buff.
const PACKET_PROTOCOL: i16 = 16;
const INTERFACE: i16 = 40;
const SOCKET: i16 = 168;

/// struct bpf_sock; the local port is in host order.
const SOCKET_PROTOCOL: i16 = 12;
pub(super) const SOCKET_PORT: i16 = 44;
const SOCKET_PEER_PORT: i16 = 48;
const SOCKET_STATE: i16 = 72;

/// TCP_LISTEN.
const LISTEN: u32 = 10;

const ETHERTYPE_IPV4: u32 = 0x0800;
/// First byte of an IPv4 header without options: version 4, five words.
const PLAIN_IPV4: u32 = 0x45;

/// Index of the loopback device in every network namespace.
const LOOPBACK: u32 = 1;

/// Places on the stack: a packet's source and destination, and bytes of its headers. Above them is
/// room for a client and the time.
const SOURCE: i16 = -64;
const SCRATCH: i16 = -72;

/// Where a packet's IPv4 sender is.
const V4: Address = Address::V4(R2);

const DROP: u32 = 0;

pub(super) fn ingress(rules: &Rules, clients: Option<i32>) -> Option<Vec<Instruction>> {
    let mut code = Assembler::default();
    let drop = code.label();
    code.copy(R6, R1);
    code.load(Size::Word, R9, R6, INTERFACE);
    on_interfaces(&mut code, rules, drop);
    code.load(Size::Double, R1, R6, SOCKET);
    code.if_null(R1, drop);
    code.call(Call::FullSocket);
    code.if_null(R0, drop);
    code.copy(R7, R0);
    code.load(Size::Word, R2, R7, SOCKET_PROTOCOL);
    code.load(Size::Word, R8, R7, SOCKET_PORT);
    let (datagram, neither) = (code.label(), code.label());
    code.if_is(R2, UDP, datagram);
    code.if_not(R2, TCP, neither);
    let listens = code.label();
    code.load(Size::Word, R3, R7, SOCKET_STATE);
    code.if_is(R3, LISTEN, listens);
    code.answer(PASS);
    code.place(listens);
    let leased = code.label();
    at_leased_port(&mut code, rules, Protocol::Tcp, leased, drop);
    code.jump(drop);
    code.place(leased);
    if Routes::of(rules) == Routes::ByOption {
        unrouted(&mut code, drop);
    }
    code.answer(PASS);
    code.place(datagram);
    datagrams(&mut code, rules, clients, drop);
    code.place(neither);
    // Only a socket that was opened with CAP_NET_RAW is of another protocol.
    code.answer(if rules.raw { PASS } else { DROP });
    code.place(drop);
    code.answer(DROP);
    code.finish()
}

/// Go on if this is no IPv4 packet with options: a host that takes source routes answers by the one
/// that a connection was made by.
fn unrouted(code: &mut Assembler, drop: Label) {
    let plain = code.label();
    if_v6(code, plain);
    read(code, 0, SCRATCH, 1, drop);
    code.load(Size::Byte, R2, STACK, SCRATCH);
    code.if_not(R2, PLAIN_IPV4, drop);
    code.place(plain);
}

/// A datagram: to a leased port from anybody, else only from where it could be sent to.
fn datagrams(code: &mut Assembler, rules: &Rules, clients: Option<i32>, drop: Label) {
    let (leased, sender) = (code.label(), code.label());
    at_leased_port(code, rules, Protocol::Udp, leased, drop);
    match &rules.reach {
        Reach::Anywhere => code.answer(PASS),
        Reach::Only(destinations) => {
            // A connected socket gets nothing but its peer's datagrams, and connecting was judged.
            code.load(Size::Half, R2, R7, SOCKET_PEER_PORT);
            code.if_is(R2, 0, sender);
            code.answer(PASS);
            code.place(sender);
            let (v6, end) = (code.label(), code.label());
            if_v6(code, v6);
            source_v4(code, drop);
            own_answers(code, rules, |code, own| if_local(code, V4, rules.own, R0, own));
            reach(code, V4, destinations, R8);
            code.jump(end);
            code.place(v6);
            source_v6(code, drop);
            own_answers(code, rules, |code, own| if_local(code, Address::V6, rules.own, R0, own));
            reach(code, Address::V6, destinations, R8);
            code.place(end);
            code.answer(DROP);
        }
    }
    code.place(leased);
    if let Some(clients) = clients {
        remember(code, clients, drop);
    }
    code.answer(PASS);
}

/// Pass if the datagram is an answer of the instance's own UDP ports, whose port is in r8. `if_local`
/// jumps if it comes from this host.
fn own_answers(code: &mut Assembler, rules: &Rules, if_local: impl FnOnce(&mut Assembler, Label)) {
    let (leased, other, own) = (code.label(), code.label(), code.label());
    for rule in rules.ports.iter().filter(|rule| rule.protocol == Protocol::Udp) {
        code.if_is(R8, wire(rule.outside), leased);
    }
    code.jump(other);
    code.place(leased);
    if_local(code, own);
    code.jump(other);
    code.place(own);
    code.answer(PASS);
    code.place(other);
}

/// Keep the sender of a datagram, so that it can be answered.
fn remember(code: &mut Assembler, clients: i32, drop: Label) {
    const KEY: i16 = -(CLIENT as i16);
    const VALUE: i16 = KEY - 4;
    let (v6, known, forged) = (code.label(), code.label(), code.label());
    if_v6(code, v6);
    source_v4(code, drop);
    unless_forged_v4(code, forged);
    store(code, V4, KEY);
    code.store(Size::Word, STACK, KEY + 16, R8);
    code.jump(known);
    code.place(v6);
    source_v6(code, drop);
    unless_forged_v6(code, forged);
    store(code, Address::V6, KEY);
    code.store(Size::Word, STACK, KEY + 16, R8);
    code.place(known);
    now(code);
    code.store(Size::Word, STACK, VALUE, R0);
    code.map(R1, clients);
    code.copy(R2, STACK);
    code.add(R2, i32::from(KEY));
    code.copy(R3, STACK);
    code.add(R3, i32::from(VALUE));
    code.set(R4, 0);
    code.call(Call::MapUpdate);
    code.place(forged);
}

/// Jump if a datagram of this host, by the loopback device (r9), comes from an address that is
/// neither a loopback one nor the one it goes to, as local clients' are: IPv6 lets a program bind
/// an address that is not its host's (IPV6_FREEBIND), and it could make its clients up.
fn unless_forged_v4(code: &mut Assembler, forged: Label) {
    let honest = code.label();
    code.if_not(R9, LOOPBACK, honest);
    code.copy_word(R0, R2);
    code.and(R0, 0xff00_0000_u32.to_be());
    code.if_is(R0, 0x7f00_0000_u32.to_be(), honest);
    code.load(Size::Word, R0, STACK, SOURCE + 4);
    code.if_unlike(R0, R2, forged);
    code.place(honest);
}

/// As [`unless_forged_v4`]; the loopback address is one like any other here: clients that use it
/// send to it.
fn unless_forged_v6(code: &mut Assembler, forged: Label) {
    let honest = code.label();
    code.if_not(R9, LOOPBACK, honest);
    for (offset, word) in (SOURCE + 16..).step_by(4).zip([R2, R3, R4, R5]) {
        code.load(Size::Word, R0, STACK, offset);
        code.if_unlike(R0, word, forged);
    }
    code.place(honest);
}

/// Jump to `leased` if the socket's port, in r8, is a leased one that the packet's interface, in
/// r9, may reach; to `drop` if that interface may not.
fn at_leased_port(
    code: &mut Assembler,
    rules: &Rules,
    protocol: Protocol,
    leased: Label,
    drop: Label,
) {
    let rules: Vec<_> = rules.ports.iter().filter(|rule| rule.protocol == protocol).collect();
    // Most ports share their interface, or have none of their own.
    let mut interfaces: Vec<_> = rules.iter().map(|rule| rule.interface).collect();
    interfaces.sort_unstable_by(|one, other| other.cmp(one));
    interfaces.dedup();
    for interface in interfaces {
        let (next, found) = (code.label(), code.label());
        let here = rules.iter().filter(|rule| rule.interface == interface);
        let ports: Vec<_> = here.map(|rule| rule.outside).collect();
        if_one_of(code, R8, &ports, if interface.is_some() { found } else { leased });
        if let Some(interface) = interface {
            code.jump(next);
            code.place(found);
            code.if_not(R9, interface, drop);
            code.jump(leased);
            code.place(next);
        }
    }
}

/// Go on if the packet's interface, in r9, is a granted one.
fn on_interfaces(code: &mut Assembler, rules: &Rules, otherwise: Label) {
    let Some(interfaces) = &rules.interfaces else { return };
    let granted = code.label();
    for index in interfaces {
        code.if_is(R9, *index, granted);
    }
    code.jump(otherwise);
    code.place(granted);
}

fn if_v6(code: &mut Assembler, label: Label) {
    code.load(Size::Word, R2, R6, PACKET_PROTOCOL);
    code.if_not(R2, u32::from((ETHERTYPE_IPV4 as u16).to_be()), label);
}

/// Copy bytes of the packet to the stack at `to`.
fn read(code: &mut Assembler, offset: u32, to: i16, length: u32, failed: Label) {
    code.set(R2, offset);
    read_at(code, to, length, failed);
}

/// The same from the offset in r2.
fn read_at(code: &mut Assembler, to: i16, length: u32, failed: Label) {
    code.copy(R1, R6);
    code.copy(R3, STACK);
    code.add(R3, i32::from(to));
    code.set(R4, length);
    code.call(Call::LoadPacket);
    code.if_not(R0, 0, failed);
}

/// A datagram's sender over IPv4: address in r2, port in r8; both its addresses are on the stack.
fn source_v4(code: &mut Assembler, failed: Label) {
    read(code, 0, SCRATCH, 1, failed);
    code.load(Size::Byte, R2, STACK, SCRATCH);
    code.and(R2, 0xf);
    code.shift_left(R2, 2);
    read_at(code, SCRATCH, 2, failed);
    read(code, 12, SOURCE, 8, failed);
    code.load(Size::Half, R8, STACK, SCRATCH);
    code.load(Size::Word, R2, STACK, SOURCE);
}

/// A datagram's sender over IPv6: address in r2 to r5, port in r8. One behind extension headers is
/// dropped: no ordinary client sends such.
fn source_v6(code: &mut Assembler, failed: Label) {
    read(code, 6, SCRATCH, 1, failed);
    code.load(Size::Byte, R2, STACK, SCRATCH);
    code.if_not(R2, UDP, failed);
    read(code, 40, SCRATCH, 2, failed);
    read(code, 8, SOURCE, 32, failed);
    code.load(Size::Half, R8, STACK, SCRATCH);
    for (offset, word) in (SOURCE..).step_by(4).zip([R2, R3, R4, R5]) {
        code.load(Size::Word, word, STACK, offset);
    }
}

/// Packets leave through granted interfaces, and where destinations are granted one by one, no
/// packet carries a route of its own: the first stop of such a one is not where it says it goes
/// (IP_OPTIONS of ip(7), IPV6_RTHDR of RFC 3542).
pub(super) fn egress(rules: &Rules) -> Option<Vec<Instruction>> {
    const AT: i16 = -8;
    let mut code = Assembler::default();
    let drop = code.label();
    code.copy(R6, R1);
    code.load(Size::Word, R9, R6, INTERFACE);
    on_interfaces(&mut code, rules, drop);
    if rules.reach != Reach::Anywhere && !rules.raw {
        let (v6, plain) = (code.label(), code.label());
        if_v6(&mut code, v6);
        read(&mut code, 0, AT, 1, drop);
        code.load(Size::Byte, R2, STACK, AT);
        code.if_is(R2, PLAIN_IPV4, plain);
        code.jump(drop);
        code.place(v6);
        read(&mut code, 6, AT, 1, drop);
        code.load(Size::Byte, R2, STACK, AT);
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            code.if_is(R2, number(protocol), plain);
        }
        code.jump(drop);
        code.place(plain);
    }
    code.answer(PASS);
    code.place(drop);
    code.answer(DROP);
    code.finish()
}
