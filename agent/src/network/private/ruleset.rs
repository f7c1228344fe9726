//! The nftables table of an instance, as a value.
//!
//! Invariant: pure. What no rule lets through between the instance and anything else is dropped;
//! packets of others pass untouched. Accepting here ends only this table's say: a chain of somebody
//! else that drops still does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use loadbalancer::nft::{
    Base, Chain, Device, Family, Hook, Kind, Network, Owner, Policy, Relation, Rule, Side, Sight,
    State, Statement, Table, Transport,
};
use manifest_spec::manifest::Protocol;

use super::{Forward, Inward, Layout};

/// The host's end of every pair: link-local (RFC 3927), so it clashes with no network's addresses.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The same for IPv6 (RFC 4291).
pub const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// What the names of the host's ends begin with: with eight digits behind it, a whole name.
pub(super) const PREFIX: &str = "hostctl";

/// Priorities (linux/netfilter_ipv4.h): before connections are tracked, and the usual ones of
/// rewriting and filtering.
const RAW: i32 = -300;
const DESTINATION: i32 = -100;
const FILTER: i32 = 0;
const SOURCE: i32 = 100;

/// The name of the host's end: `hostctl` and the address in hexadecimal, 15 bytes, all there are.
pub fn device_name(address: Ipv4Addr) -> String {
    format!("{PREFIX}{:08x}", u32::from(address))
}

/// The table of an instance. It goes with the socket that loads it.
pub fn table(layout: &Layout) -> Table {
    let rules = Rules { layout, device: device_name(layout.address) };
    Table {
        sight: Sight::Inet,
        name: format!("{PREFIX}-{}", layout.name),
        comment: None,
        owner: Owner::Socket,
        sets: vec![],
        chains: vec![
            chain("origin", Kind::Filter, Hook::Prerouting, RAW, rules.origin()),
            chain("arriving", Kind::Nat, Hook::Prerouting, DESTINATION, rules.arriving()),
            chain("local", Kind::Nat, Hook::Output, DESTINATION, rules.local()),
            chain("input", Kind::Filter, Hook::Input, FILTER, rules.input()),
            chain("forward", Kind::Filter, Hook::Forward, FILTER, rules.forward()),
            chain("output", Kind::Filter, Hook::Output, FILTER, rules.output()),
            chain("leaving", Kind::Nat, Hook::Postrouting, SOURCE, rules.leaving()),
        ],
    }
}

/// The table that lets packets of the instance in at all. They are sent to a hardware address that
/// is not the device's, which the kernel ignores; only this table takes them for the host's. It
/// goes with the same socket as the other: when hostctl is killed, there is no moment in which the
/// instance still lives and nothing holds it.
pub fn door(layout: &Layout) -> Table {
    let hook = Hook::Ingress(device_name(layout.address));
    let rules = vec![vec![Statement::ForHost]];
    Table {
        sight: Sight::Netdev,
        name: format!("{PREFIX}-{}", layout.name),
        comment: None,
        owner: Owner::Socket,
        sets: vec![],
        chains: vec![chain("door", Kind::Filter, hook, FILTER, rules)],
    }
}

/// The table that keeps the host from becoming a router for others where forwarding was switched
/// on: what comes in by the interface goes to instances, to where it was redirected or, as before,
/// nowhere. It stays when hostctl is killed, as the forwarding does.
pub(super) fn guard(name: String, family: Family, interface: &str) -> Table {
    let rule = vec![
        Statement::Family(family),
        from(Device::Named(interface.to_owned())),
        Statement::Device(Side::Destination, Relation::Not, instances()),
        Statement::Drop,
    ];
    let redirected = vec![Statement::Redirected, Statement::Accept];
    let rules = vec![redirected, rule];
    let forward = chain("forward", Kind::Filter, Hook::Forward, FILTER, rules);
    Table {
        sight: Sight::Inet,
        name,
        comment: None,
        owner: Owner::Nobody,
        sets: vec![],
        chains: vec![forward],
    }
}

struct Rules<'a> {
    layout: &'a Layout,
    device: String,
}

type Statements = Vec<Statement>;

impl Rules<'_> {
    /// The instance speaks for itself only, and never to a loopback address of the host.
    fn origin(&self) -> Vec<Statements> {
        let foreign = |own: IpAddr| Statement::Address(Side::Source, Relation::Not, own.into());
        vec![
            vec![self.leaving_instance(), foreign(self.layout.address.into()), Statement::Drop],
            vec![self.leaving_instance(), foreign(self.layout.address6.into()), Statement::Drop],
            vec![self.leaving_instance(), address(Side::Destination, loopback()), Statement::Drop],
        ]
    }

    /// Where packets from outside and from the instance are meant to go.
    fn arriving(&self) -> Vec<Statements> {
        let mut rules: Vec<Statements> =
            self.layout.inward.iter().map(|inward| self.inward(*inward)).collect();
        for forward in self.redirected() {
            let by = match forward.interface.as_deref() {
                Some("lo") => continue,
                Some(name) => Some(from(Device::Named(name.to_owned()))),
                None => None,
            };
            rules.extend(self.redirect(by, forward));
        }
        rules
    }

    /// The same for the host's own clients.
    fn local(&self) -> Vec<Statements> {
        let own = |forward: &&Forward| forward.interface.as_ref().is_none_or(|name| name == "lo");
        let by = || Some(to(Device::Named("lo".to_owned())));
        let forwards = self.redirected().filter(own);
        forwards.flat_map(|forward| self.redirect(by(), forward)).collect()
    }

    /// What the instance may say to the host itself.
    fn input(&self) -> Vec<Statements> {
        let mut rules = vec![vec![self.leaving_instance(), known(), Statement::Accept]];
        for inward in &self.layout.inward {
            rules.push(vec![
                self.leaving_instance(),
                Statement::Redirected,
                address(Side::Destination, IpAddr::from(*inward.to.ip()).into()),
                port(inward.protocol, inward.to.port()),
                Statement::Accept,
            ]);
        }
        if self.layout.balanced_needs {
            rules.push(vec![self.leaving_instance(), Statement::Redirected, Statement::Accept]);
        }
        rules.push(vec![self.leaving_instance(), Statement::Drop]);
        rules
    }

    /// What passes between the instance and others. Another instance is reached by ports leased on
    /// the host, never by its address.
    fn forward(&self) -> Vec<Statements> {
        let other = || to(instances());
        let mut rules = vec![
            vec![self.entering_instance(), known(), Statement::Accept],
            vec![self.entering_instance(), Statement::Redirected, Statement::Accept],
            vec![self.entering_instance(), Statement::Drop],
            vec![self.leaving_instance(), known(), Statement::Accept],
            vec![self.leaving_instance(), other(), Statement::Redirected, Statement::Accept],
            vec![self.leaving_instance(), other(), Statement::Drop],
        ];
        match &self.layout.egress {
            None => rules.push(vec![self.leaving_instance(), Statement::Accept]),
            Some(interfaces) => {
                for interface in interfaces {
                    let by = to(Device::Named(interface.clone()));
                    rules.push(vec![self.leaving_instance(), by, Statement::Accept]);
                }
                rules.push(vec![self.leaving_instance(), Statement::Drop]);
            }
        }
        rules
    }

    /// What programs of the host may say to the instance past its leased ports: nothing new. A
    /// balanced one is asked there how it is: what leads to its ports leads to its fellows, too.
    fn output(&self) -> Vec<Statements> {
        let mut rules = vec![
            vec![self.entering_instance(), known(), Statement::Accept],
            vec![self.entering_instance(), Statement::Redirected, Statement::Accept],
        ];
        if self.layout.balanced {
            rules.extend(self.layout.forwards.iter().map(|forward| {
                let asked = port(forward.protocol, forward.inside);
                vec![self.entering_instance(), asked, Statement::Accept]
            }));
        }
        rules.push(vec![self.entering_instance(), Statement::Drop]);
        rules
    }

    /// The ports that this table leads to the instance.
    fn redirected(&self) -> impl Iterator<Item = &Forward> {
        self.layout.forwards.iter().filter(|_| !self.layout.balanced)
    }

    /// Whom packets claim to come from where the true address would lead nowhere.
    fn leaving(&self) -> Vec<Statements> {
        let gateway = |family| match family {
            Family::Ipv4 => Statement::Snat(GATEWAY.into()),
            Family::Ipv6 => Statement::Snat(GATEWAY6.into()),
        };
        let (own, own6) = (self.layout.address.into(), self.layout.address6.into());
        let mut rules = vec![
            // A client on the host by 127.0.0.1, which inside would mean the instance itself.
            vec![
                self.entering_instance(),
                address(Side::Source, loopback()),
                gateway(Family::Ipv4),
            ],
        ];
        for (family, own) in [(Family::Ipv4, own), (Family::Ipv6, own6)] {
            // The instance by its own leased port: it would take its own address for a forgery.
            let from_own = || address(Side::Source, IpAddr::into(own));
            rules.push(vec![self.entering_instance(), from_own(), gateway(family)]);
            match &self.layout.egress {
                None => rules.push(vec![
                    Statement::Device(Side::Destination, Relation::Not, instances()),
                    from_own(),
                    Statement::Masquerade,
                ]),
                Some(interfaces) => rules.extend(interfaces.iter().map(|interface| {
                    let by = to(Device::Named(interface.clone()));
                    vec![by, from_own(), Statement::Masquerade]
                })),
            }
        }
        rules
    }

    fn inward(&self, inward: Inward) -> Statements {
        vec![
            self.leaving_instance(),
            address(Side::Destination, IpAddr::from(GATEWAY).into()),
            port(inward.protocol, inward.port),
            Statement::Dnat(inward.to.into()),
        ]
    }

    /// A leased port, of whichever address of the host.
    fn redirect(&self, by: Option<Statement>, forward: &Forward) -> Vec<Statements> {
        let Layout { address, address6, .. } = self.layout;
        [IpAddr::from(*address), IpAddr::from(*address6)]
            .into_iter()
            .map(|own| {
                let mut rule: Statements = by.iter().cloned().collect();
                rule.extend([
                    Statement::Family(Family::of(own)),
                    Statement::Local(Side::Destination),
                    port(forward.protocol, forward.outside),
                    Statement::Dnat(SocketAddr::new(own, forward.inside)),
                ]);
                rule
            })
            .collect()
    }

    fn leaving_instance(&self) -> Statement {
        from(Device::Named(self.device.clone()))
    }

    fn entering_instance(&self) -> Statement {
        to(Device::Named(self.device.clone()))
    }
}

fn chain(name: &str, kind: Kind, hook: Hook, priority: i32, rules: Vec<Statements>) -> Chain {
    let base = Some(Base { kind, hook, priority, policy: Policy::Accept });
    Chain { name: name.to_owned(), base, rules: rules.into_iter().map(Rule).collect() }
}

fn from(device: Device) -> Statement {
    Statement::Device(Side::Source, Relation::Is, device)
}

fn to(device: Device) -> Statement {
    Statement::Device(Side::Destination, Relation::Is, device)
}

fn instances() -> Device {
    Device::Beginning(PREFIX.to_owned())
}

fn address(side: Side, network: Network) -> Statement {
    Statement::Address(side, Relation::Is, network)
}

/// 127.0.0.0/8 (RFC 6890).
fn loopback() -> Network {
    Network { address: IpAddr::from([127, 0, 0, 0]), prefix: 8 }
}

/// Of a connection that was let through before, or an ICMP error about one.
fn known() -> Statement {
    Statement::State(vec![State::Established, State::Related])
}

fn port(protocol: Protocol, number: u16) -> Statement {
    let transport = match protocol {
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
    };
    Statement::Port(transport, Side::Destination, number)
}
