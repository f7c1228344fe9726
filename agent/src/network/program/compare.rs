//! Comparing an address in registers with rules.
//!
//! Invariant: nothing is compared twice on one way through a program: what is known of a register
//! keeps the kernel's verifier from seeing that two ways are one. r0 is scratch.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::assemble::{Assembler, Label, R0, R2, R3, R4, R5, Register, STACK, Size};
use super::super::rules::{Destination, OwnAddress};
use super::{PASS, wire};

/// Where an address is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Address {
    /// An IPv4 one, in this register.
    V4(Register),
    /// An IPv6 one, in r2 to r5.
    V6,
}

/// The words of an IPv6 address.
pub(super) const WORDS: [Register; 4] = [R2, R3, R4, R5];

/// Pass if the address and the port in `port` are one of these. An address
/// that is in one network but not by this port can only be in another that overlaps it: going on
/// there keeps the verifier's work in proportion to their number.
pub(super) fn reach(
    code: &mut Assembler,
    address: Address,
    destinations: &[Destination],
    port: Register,
) {
    let networks = networks(address, destinations);
    let places: Vec<_> = networks.iter().map(|_| code.label()).collect();
    let end = code.label();
    let place = |index: usize| places.get(index).copied().unwrap_or(end);
    for (index, (network, prefix, ports)) in networks.iter().enumerate() {
        code.place(places[index]);
        match (address, *network) {
            (Address::V4(word), IpAddr::V4(network)) => {
                if_not_in_v4(code, word, network, *prefix, place(index + 1));
            }
            (_, IpAddr::V6(network)) => if_not_in_v6(code, network, *prefix, place(index + 1)),
            (Address::V6, IpAddr::V4(_)) => continue,
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
fn networks(address: Address, destinations: &[Destination]) -> Vec<Network> {
    let is_v4 = matches!(address, Address::V4(_));
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

/// Jump if the address stays on this host: unspecified, loopback, or the instance's own. `scratch` is
/// destroyed.
pub(super) fn if_local(
    code: &mut Assembler,
    address: Address,
    own: Option<OwnAddress>,
    scratch: Register,
    label: Label,
) {
    match address {
        Address::V4(word) => {
            code.if_is(word, 0, label);
            code.copy_word(scratch, word);
            code.and(scratch, 0xff00_0000_u32.to_be());
            code.if_is(scratch, 0x7f00_0000_u32.to_be(), label);
            if let Some(own) = own {
                code.if_is(word, own.v4.to_bits().to_be(), label);
            }
        }
        Address::V6 => {
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
pub(super) fn if_specified(code: &mut Assembler, address: Address, label: Label) {
    match address {
        Address::V4(word) => code.if_not(word, 0, label),
        Address::V6 => WORDS.into_iter().for_each(|word| code.if_not(word, 0, label)),
    }
}

/// Write an address to the stack in its IPv6 form.
pub(super) fn store(code: &mut Assembler, address: Address, at: i16) {
    match address {
        Address::V4(word) => {
            code.store_value(Size::Word, STACK, at, 0);
            code.store_value(Size::Word, STACK, at + 4, 0);
            code.store_value(Size::Word, STACK, at + 8, 0xffff_u32.to_be());
            code.store(Size::Word, STACK, at + 12, word);
        }
        Address::V6 => {
            for (offset, word) in (at..).step_by(4).zip(WORDS) {
                code.store(Size::Word, STACK, offset, word);
            }
        }
    }
}
