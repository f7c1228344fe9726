//! From rules to the programs that the kernel runs for an instance's cgroup.
//!
//! Invariant: pure; each program answers as [`Rules`] does, and refuses what it does not understand.
//! Asks nothing of the host: interfaces are indexes and names are addresses already.
//!
//! | module | owns |
//! | --- | --- |
//! | [`address`] | bind, connect, send: the hooks that see a socket address |
//! | [`compare`] | comparing an address with rules |
//! | [`option`] | setsockopt: which sockets are for IPv6 alone, and no routes |
//! | [`packet`] | what arrives and leaves: the hooks that see a packet |
//! | [`ports`] | comparing a port with many |
//! | [`socket`] | which sockets there are at all |

mod address;
mod compare;
mod option;
mod packet;
mod ports;
mod socket;
#[cfg(test)]
mod tests;

use host_sys::bpf::{Hook, Instruction};
use manifest_spec::manifest::Protocol;

use super::rules::{Reach, Rules};

/// What programs remember things in, as they name it: by descriptors.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tables {
    /// Clients of UDP ports.
    pub clients: Option<i32>,
    /// Which IPv6 sockets are for IPv6 alone; without it, all.
    pub v6_only: Option<i32>,
}

/// Bytes of a client: IPv6 address (IPv4 mapped) and port as the network orders it.
pub const CLIENT: u32 = 20;

/// What every program answers to let something pass.
const PASS: u32 = 1;
/// IPPROTO_TCP, IPPROTO_UDP.
const TCP: u32 = 6;
const UDP: u32 = 17;

fn number(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::Tcp => TCP,
        Protocol::Udp => UDP,
    }
}

/// A port as the kernel keeps it in a word: network byte order.
fn wire(port: u16) -> u32 {
    u32::from(u16::from_ne_bytes(port.to_be_bytes()))
}

/// Which hooks these rules need, each with its program; `None` if there are more rules than fit.
pub fn compile(rules: &Rules, tables: Tables) -> Option<Vec<(Hook, Vec<Instruction>)>> {
    let mut programs = Vec::new();
    let mut add = |hook: Hook, program: Option<Vec<Instruction>>| {
        programs.push((hook, program?));
        Some(())
    };
    for hook in [Hook::Bind4, Hook::Bind6] {
        add(hook, address::bind(hook, rules, tables))?;
    }
    if rules.reach != Reach::Anywhere || rules.moves() {
        for hook in [Hook::Connect4, Hook::Connect6, Hook::SendMessage4, Hook::SendMessage6] {
            add(hook, address::connect(hook, rules, tables.clients))?;
        }
    }
    if rules.ports.iter().any(|rule| rule.inside != rule.outside) {
        for hook in [Hook::SocketName4, Hook::SocketName6] {
            add(hook, address::told(hook, rules, false))?;
        }
        let peers =
            [Hook::PeerName4, Hook::PeerName6, Hook::ReceiveMessage4, Hook::ReceiveMessage6];
        for hook in peers {
            add(hook, address::told(hook, rules, true))?;
        }
    }
    add(Hook::Ingress, packet::ingress(rules, tables.clients))?;
    let routes = Routes::of(rules);
    if tables.v6_only.is_some() || routes == Routes::ByOption {
        add(Hook::SetOption, option::watch(tables.v6_only, routes == Routes::ByOption))?;
    }
    if routes == Routes::ByOption {
        add(Hook::Create, socket::create())?;
    }
    if rules.interfaces.is_some() || routes == Routes::ByPacket {
        add(Hook::Egress, packet::egress(rules))?;
    }
    Some(programs)
}

/// Where routes that the sender prescribes are refused. Every packet that a program looks at costs
/// more than all other rules together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Routes {
    /// Nowhere: they lead to nothing that is not granted.
    Nowhere,
    /// When they are given to a socket: TCP takes them in no other way.
    ByOption,
    /// In the packets: with a datagram, sendmsg(2) takes them as well.
    ByPacket,
}

impl Routes {
    fn of(rules: &Rules) -> Routes {
        if rules.reach == Reach::Anywhere || rules.raw {
            return Routes::Nowhere;
        }
        let datagrams = rules.ports.iter().any(|rule| rule.protocol == Protocol::Udp);
        match rules.interfaces.is_some() || datagrams || rules.reaches_something() {
            true => Routes::ByPacket,
            false => Routes::ByOption,
        }
    }
}

/// The smallest program, which refuses everything.
pub fn refusing() -> Vec<Instruction> {
    let mut code = super::assemble::Assembler::default();
    code.answer(0);
    code.finish().unwrap_or_default()
}

/// Whether the rules need to remember the clients of UDP ports: to let answers go where no
/// connection may.
pub fn remembers(rules: &Rules) -> bool {
    rules.reach != Reach::Anywhere && rules.ports.iter().any(|rule| rule.protocol == Protocol::Udp)
}

/// Whether the rules need to know which sockets are for IPv6 alone: one that is not, bound to all
/// addresses, is to be reached by IPv4.
pub fn distinguishes(rules: &Rules) -> bool {
    rules.own.is_some() && !rules.alone
}

impl Rules {
    /// Whether an address or port that the program names means another one to the host.
    fn moves(&self) -> bool {
        self.own.is_some() || self.ports.iter().any(|rule| rule.inside != rule.outside)
    }
}
