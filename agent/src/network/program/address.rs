//! Programs that see a socket address: struct bpf_sock_addr of linux/bpf.h.
//!
//! The context stays in r6, the port in r7, the protocol in r9, r8 is scratch. An IPv4 address is in
//! r2; an IPv6 one in r2 to r5, which holds an IPv4 address in r5 if it is a mapped one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use host_sys::bpf::{Hook, Instruction};
use manifest_spec::manifest::Protocol;

use super::super::assemble::{
    Assembler, Call, Label, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, Register, STACK, Size,
};
use super::super::rules::{Destination, OwnAddress, Reach, Rules};
use super::packet::SOCKET_PORT;
use super::{CLIENT, Tables, UDP, number, wire};

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
const PASS: u32 = 1;
const REFUSE: u32 = 0;

const WORDS: [Register; 4] = [R2, R3, R4, R5];

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
        by_protocol(code, rules, &mut |code, outside| match rules.own {
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
        if_specified(code, family, named);
        bind_as(code, outside);
        code.place(named);
    }
    let ours = code.label();
    if_local(code, family, Some(own), ours);
    code.answer(REFUSE);
    code.place(ours);
    write_address(code, family, own);
    bind_as(code, outside);
}

/// All addresses by an IPv6 socket: if it is not for IPv6 alone, IPv4 clients are to reach it, who
/// know the instance's address.
fn bind_all(code: &mut Assembler, outside: Option<u16>, own: OwnAddress, v6_only: i32) {
    let (named, alone) = (code.label(), code.label());
    if_specified(code, Family::V6, named);
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
    program(hook, |code, family| {
        let elsewhere = code.label();
        by_protocol(code, rules, &mut |code, outside| {
            let local = code.label();
            if_local(code, family, rules.own, local);
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
                reach(code, family, destinations, R7);
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
                if_local(code, family, rules.own, local);
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
    write: &mut dyn FnMut(&mut Assembler, Option<u16>),
) {
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let ports = || rules.ports.iter().filter(|rule| rule.protocol == protocol);
        if ports().next().is_none() {
            continue;
        }
        let (other, kept) = (code.label(), code.label());
        code.if_not(R9, number(protocol), other);
        for rule in ports() {
            if rule.inside == rule.outside {
                code.if_is(R7, wire(rule.inside), kept);
            } else {
                let next = code.label();
                code.if_not(R7, wire(rule.inside), next);
                write(code, Some(rule.outside));
                code.place(next);
            }
        }
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
    reach(code, family, &any, R7);
    code.jump(unknown);
    code.place(other);
}

/// Pass if the address in the family's registers and the port in `port` are one of these. An address
/// that is in one network but not by this port can only be in another that overlaps it: going on
/// there keeps the verifier's work in proportion to their number.
fn reach(code: &mut Assembler, family: Family, destinations: &[Destination], port: Register) {
    let networks = networks(family, destinations);
    let places: Vec<_> = networks.iter().map(|_| code.label()).collect();
    let end = code.label();
    let place = |index: usize| places.get(index).copied().unwrap_or(end);
    for (index, (network, prefix, ports)) in networks.iter().enumerate() {
        code.place(places[index]);
        match (family, *network) {
            (Family::V4(register, _), IpAddr::V4(network)) => {
                if_not_in_v4(code, register, network, *prefix, place(index + 1));
            }
            (_, IpAddr::V6(network)) => if_not_in_v6(code, network, *prefix, place(index + 1)),
            (Family::V6, IpAddr::V4(_)) => continue,
        }
        let granted = code.label();
        for number in ports.iter().flatten() {
            code.if_is(port, wire(*number), granted);
        }
        if !ports.contains(&None) {
            let overlaps = |other: &usize| {
                let (network, prefix, _) = &networks[*other];
                Destination { network: *network, prefix: *prefix, port: None }.overlaps(
                    &Destination {
                        network: networks[index].0,
                        prefix: networks[index].1,
                        port: None,
                    },
                )
            };
            let next = (index + 1..networks.len()).find(overlaps);
            code.jump(next.map_or(end, place));
        }
        code.place(granted);
        code.answer(PASS);
    }
    code.place(end);
}

/// A network with the ports of it, `None` for any.
type Network = (IpAddr, u8, Vec<Option<u16>>);

/// The networks of a family, in order, each once.
fn networks(family: Family, destinations: &[Destination]) -> Vec<Network> {
    let is_v4 = matches!(family, Family::V4(..));
    let mut networks: Vec<Network> = Vec::new();
    let mut sorted: Vec<_> =
        destinations.iter().filter(|one| one.network.is_ipv4() == is_v4).collect();
    sorted.sort();
    for one in sorted {
        match networks.last_mut() {
            Some((network, prefix, ports)) if (*network, *prefix) == (one.network, one.prefix) => {
                ports.push(one.port);
            }
            _ => networks.push((one.network, one.prefix, vec![one.port])),
        }
    }
    networks
}

/// The same for packets: `v4` holds an IPv4 address, r2 to r5 an IPv6 one.
pub(super) fn reach_v4(
    code: &mut Assembler,
    address: Register,
    port: Register,
    destinations: &[Destination],
) {
    reach(code, Family::V4(address, 0), destinations, port);
}

/// As [`reach_v4`], for the address in r2 to r5.
pub(super) fn reach_v6(code: &mut Assembler, port: Register, destinations: &[Destination]) {
    reach(code, Family::V6, destinations, port);
}

/// As [`if_local`] for packets, of an IPv4 address.
pub(super) fn if_local_v4(
    code: &mut Assembler,
    address: Register,
    own: Option<OwnAddress>,
    label: Label,
) {
    // r8 holds the port there.
    if_local_by(code, Family::V4(address, 0), own, R0, label);
}

/// As [`if_local_v4`], for the address in r2 to r5.
pub(super) fn if_local_v6(code: &mut Assembler, own: Option<OwnAddress>, label: Label) {
    if_local_by(code, Family::V6, own, R0, label);
}

fn if_not_in_v4(
    code: &mut Assembler,
    address: Register,
    network: Ipv4Addr,
    prefix: u8,
    label: Label,
) {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    masked(code, address, network.to_bits(), mask, label);
}

fn if_not_in_v6(code: &mut Assembler, network: Ipv6Addr, prefix: u8, label: Label) {
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    let words = |bits: u128| [96, 64, 32, 0].map(|shift| (bits >> shift) as u32);
    let parts = words(network.to_bits()).into_iter().zip(words(mask));
    for (register, (value, mask)) in WORDS.into_iter().zip(parts) {
        masked(code, register, value, mask, label);
    }
}

/// Jump if the word, masked, is not `value`; both in host order.
fn masked(code: &mut Assembler, word: Register, value: u32, mask: u32, label: Label) {
    match mask {
        0 => {}
        u32::MAX => code.if_not(word, value.to_be(), label),
        _ => {
            // r8 may hold a port here; r0 holds nothing between calls.
            code.copy_word(R0, word);
            code.and(R0, mask.to_be());
            code.if_not(R0, (value & mask).to_be(), label);
        }
    }
}

/// Jump if the address stays on this host: unspecified, loopback, or the instance's own.
fn if_local(code: &mut Assembler, family: Family, own: Option<OwnAddress>, label: Label) {
    if_local_by(code, family, own, R8, label);
}

fn if_local_by(
    code: &mut Assembler,
    family: Family,
    own: Option<OwnAddress>,
    scratch: Register,
    label: Label,
) {
    match family {
        Family::V4(address, _) => {
            code.if_is(address, 0, label);
            code.copy_word(scratch, address);
            code.and(scratch, 0xff00_0000_u32.to_be());
            code.if_is(scratch, 0x7f00_0000_u32.to_be(), label);
            if let Some(own) = own {
                code.if_is(address, own.v4.to_bits().to_be(), label);
            }
        }
        Family::V6 => {
            let other = code.label();
            code.if_not(R2, 0, other);
            code.if_not(R3, 0, other);
            code.if_not(R4, 0, other);
            code.if_is(R5, 0, label);
            code.if_is(R5, 1_u32.to_be(), label);
            code.place(other);
            if let Some(own) = own {
                let other = code.label();
                if_not_in_v6(code, own.v6, 128, other);
                code.jump(label);
                code.place(other);
            }
        }
    }
}

/// Jump if the address is not the unspecified one.
fn if_specified(code: &mut Assembler, family: Family, label: Label) {
    match family {
        Family::V4(address, _) => code.if_not(address, 0, label),
        Family::V6 => WORDS.into_iter().for_each(|word| code.if_not(word, 0, label)),
    }
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
    match family {
        Family::V4(address, _) => store_mapped(code, KEY, address),
        Family::V6 => {
            for (offset, word) in (KEY..).step_by(4).zip(WORDS) {
                code.store(Size::Word, STACK, offset, word);
            }
        }
    }
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

/// Write an IPv4 address to the stack, mapped into IPv6.
pub(super) fn store_mapped(code: &mut Assembler, at: i16, address: Register) {
    code.store_value(Size::Word, STACK, at, 0);
    code.store_value(Size::Word, STACK, at + 4, 0);
    code.store_value(Size::Word, STACK, at + 8, 0xffff_u32.to_be());
    code.store(Size::Word, STACK, at + 12, address);
}
