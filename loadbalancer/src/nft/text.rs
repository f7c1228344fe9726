//! The text of tables, as nft(8) reads it.

use std::fmt::{Display, Formatter, Result};
use std::net::IpAddr;

use super::field::Row;
use super::{
    Base, Chain, Device, Family, Hook, Kind, Network, Owner, Policy, Rejection, Relation, Rule,
    Side, Sight, State, Statement, Table, Transport,
};

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let family = match self.sight {
            Sight::Inet => "inet",
            Sight::Netdev => "netdev",
        };
        writeln!(f, "table {family} {} {{", self.name)?;
        let flags = match self.owner {
            Owner::Nobody => None,
            Owner::Socket => Some("\tflags owner\n"),
            Owner::Successive => Some("\tflags owner,persist\n"),
        };
        let comment = self.comment.iter().map(|text| format!("\tcomment \"{text}\"\n"));
        let flags = flags.map(str::to_owned).into_iter().chain(comment);
        let sets = self.sets.iter().map(ToString::to_string);
        let parts = flags.chain(sets).chain(self.chains.iter().map(ToString::to_string));
        for (index, part) in parts.enumerate() {
            write!(f, "{}{part}", if index > 0 { "\n" } else { "" })?;
        }
        writeln!(f, "}}")
    }
}

impl Display for Chain {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "\tchain {} {{", self.name)?;
        if let Some(base) = &self.base {
            writeln!(f, "\t\t{base}")?;
        }
        for rule in &self.rules {
            writeln!(f, "\t\t{rule}")?;
        }
        writeln!(f, "\t}}")
    }
}

impl Display for Base {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let kind = match self.kind {
            Kind::Filter => "filter",
            Kind::Nat => "nat",
        };
        let hook = match &self.hook {
            Hook::Ingress(device) => &format!("ingress device \"{device}\""),
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
        };
        let policy = match self.policy {
            Policy::Accept => "accept",
            Policy::Drop => "drop",
        };
        let priority = self.priority;
        write!(f, "type {kind} hook {hook} priority {priority}; policy {policy};")
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (index, statement) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { " " } else { "" })?;
            statement.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Statement::Device(Side::Source, relation, device) => {
                write!(f, "iifname {relation}{device}")
            }
            Statement::Device(Side::Destination, relation, device) => {
                write!(f, "oifname {relation}{device}")
            }
            Statement::Family(Family::Ipv4) => f.write_str("meta nfproto ipv4"),
            Statement::Family(Family::Ipv6) => f.write_str("meta nfproto ipv6"),
            Statement::Transport(transport) => write!(f, "meta l4proto {transport}"),
            Statement::Address(side, relation, network) => {
                write!(f, "{} {side}addr {relation}{network}", protocol(network.address))
            }
            Statement::Port(transport, side, port) => write!(f, "{transport} {side}port {port}"),
            Statement::Local(side) => write!(f, "fib {side}addr type local"),
            Statement::State(states) => {
                f.write_str("ct state ")?;
                for (index, state) in states.iter().enumerate() {
                    write!(f, "{}{state}", if index > 0 { "," } else { "" })?;
                }
                Ok(())
            }
            Statement::Redirected => f.write_str("ct status dnat"),
            Statement::Member(key, set) => write!(f, "{} @{set}", Row(key)),
            Statement::Choose(key, map) => write!(f, "{} vmap @{map}", Row(key)),
            Statement::ForHost => f.write_str("meta pkttype set host"),
            Statement::Counter => f.write_str("counter"),
            Statement::Dnat(to) => write!(f, "dnat {} to {to}", protocol(to.ip())),
            Statement::DnatBy(family, key, map) => {
                write!(f, "dnat {} to {} map @{map}", word(*family), Row(key))
            }
            Statement::Learn { map, key, data, seconds } => {
                write!(f, "update @{map} {{ {} timeout {seconds}s : {} }}", Row(key), Row(data))
            }
            Statement::Snat(to) => write!(f, "snat {} to {to}", protocol(*to)),
            Statement::Masquerade => f.write_str("masquerade"),
            Statement::Accept => f.write_str("accept"),
            Statement::Drop => f.write_str("drop"),
            Statement::Return => f.write_str("return"),
            Statement::Jump(chain) => write!(f, "jump {chain}"),
            Statement::Goto(chain) => write!(f, "goto {chain}"),
            Statement::Reject(Rejection::Reset) => f.write_str("reject with tcp reset"),
            Statement::Reject(Rejection::Unreachable) => {
                f.write_str("reject with icmpx port-unreachable")
            }
        }
    }
}

fn protocol(address: IpAddr) -> &'static str {
    word(Family::of(address))
}

fn word(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ip6",
    }
}

impl Display for Transport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        })
    }
}

impl Display for Side {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Side::Source => "s",
            Side::Destination => "d",
        })
    }
}

impl Display for Relation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Relation::Is => "",
            Relation::Not => "!= ",
        })
    }
}

impl Display for Device {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Device::Named(name) => write!(f, "\"{name}\""),
            Device::Beginning(name) => write!(f, "\"{name}*\""),
        }
    }
}

impl Display for Network {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let single = *self == Network::from(self.address);
        self.address.fmt(f)?;
        if single { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl Display for State {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            State::Established => "established",
            State::Related => "related",
            State::Invalid => "invalid",
            State::New => "new",
        })
    }
}
