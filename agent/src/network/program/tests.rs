//! Every program answers as the rules do: tried in an interpreter with made-up addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::network::rules::{Destination, OwnAddress, PortRule};

const OWN: OwnAddress =
    OwnAddress { v4: Ipv4Addr::new(10, 99, 0, 7), v6: Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, 7) };

const ADDRESSES: [&str; 14] = [
    "0.0.0.0",
    "127.0.0.1",
    "127.8.0.1",
    "10.99.0.7",
    "10.99.0.8",
    "10.1.2.3",
    "192.0.2.255",
    "::",
    "::1",
    "::2",
    "fd99::7",
    "2001:db8::1",
    "2001:db8:ffff:ffff:ffff::1",
    "128.0.0.1",
];

fn addresses() -> impl Strategy<Value = IpAddr> {
    let address = prop::sample::select(ADDRESSES.to_vec());
    (address, any::<bool>()).prop_map(|(text, mapped)| match (text.parse().unwrap(), mapped) {
        (IpAddr::V4(address), true) => address.to_ipv6_mapped().into(),
        (address, _) => address,
    })
}

fn destinations() -> impl Strategy<Value = Destination> {
    let port = prop::option::of(prop::sample::select(vec![53_u16, 80, 8083]));
    (prop::sample::select(ADDRESSES.to_vec()), 0_u8..=128, port).prop_map(|(text, bits, port)| {
        let network = match text.parse().unwrap() {
            IpAddr::V4(address) => {
                let bits = u32::from(bits % 33);
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                IpAddr::from(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                IpAddr::from(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        let prefix = if network.is_ipv4() { bits % 33 } else { bits };
        Destination { network, prefix, port }
    })
}

fn protocols() -> impl Strategy<Value = Protocol> {
    prop::sample::select(vec![Protocol::Tcp, Protocol::Udp])
}

fn rules() -> impl Strategy<Value = Rules> {
    let port = (protocols(), prop::sample::select(vec![80_u16, 83, 8080, 53, 140, 144]), 0_u16..2);
    let ports = prop::collection::vec(port, 0..6).prop_map(|mut ports| {
        ports.sort();
        ports.dedup_by_key(|(protocol, inside, _)| (*protocol, *inside));
        let rule = |(protocol, inside, offset)| PortRule {
            protocol,
            inside,
            outside: inside + 3 * offset,
            interface: None,
        };
        ports.into_iter().map(rule).collect::<Vec<_>>()
    });
    let reach = prop_oneof![
        Just(Reach::Anywhere),
        prop::collection::vec(destinations(), 0..4).prop_map(Reach::Only),
    ];
    let own = prop::option::of(Just(OWN));
    (ports, own, any::<bool>(), reach).prop_map(|(ports, own, alone, reach)| Rules {
        ports,
        own,
        alone,
        reach,
        interfaces: None,
        raw: false,
    })
}

/// Run a program on an address; where it then points, if it lets it pass.
fn run(program: &[Instruction], protocol: Protocol, at: SocketAddr) -> Option<SocketAddr> {
    let mut context = [0_u8; 72];
    match at.ip() {
        IpAddr::V4(address) => context[4..8].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => context[8..24].copy_from_slice(&address.octets()),
    }
    context[24..28].copy_from_slice(&wire(at.port()).to_ne_bytes());
    context[36..40].copy_from_slice(&number(protocol).to_ne_bytes());
    let bytes: Vec<u8> = program
        .iter()
        .flat_map(|one| {
            let mut bytes = vec![one.code, one.registers];
            bytes.extend(one.offset.to_ne_bytes());
            bytes.extend(one.immediate.to_ne_bytes());
            bytes
        })
        .collect();
    let answer = rbpf::EbpfVmRaw::new(Some(&bytes)).unwrap().execute_program(&mut context).unwrap();
    let port = u16::from_be_bytes([context[24], context[25]]);
    let address = match at.ip() {
        IpAddr::V4(_) => IpAddr::from(<[u8; 4]>::try_from(&context[4..8]).unwrap()),
        IpAddr::V6(_) => IpAddr::from(<[u8; 16]>::try_from(&context[8..24]).unwrap()),
    };
    (answer & 1 == 1).then_some(SocketAddr::new(address.to_canonical(), port))
}

fn program(rules: &Rules, at: IpAddr, hooks: [Hook; 2]) -> Option<Vec<Instruction>> {
    let wanted = if at.is_ipv4() { hooks[0] } else { hooks[1] };
    let programs = compile(rules, Tables::default()).unwrap();
    programs.into_iter().find(|(hook, _)| *hook == wanted).map(|(_, program)| program)
}

proptest! {
    #[test]
    fn the_kernel_binds_as_the_rules_say(
        rules in rules(),
        protocol in protocols(),
        address in addresses(),
        port in prop::sample::select(vec![0_u16, 52, 53, 54, 80, 83, 117, 140, 144, 8080, 8083]),
    ) {
        let at = SocketAddr::new(address, port);
        let program = program(&rules, address, [Hook::Bind4, Hook::Bind6]).unwrap();
        prop_assert_eq!(run(&program, protocol, at), rules.bind(protocol, at));
    }

    #[test]
    fn the_kernel_connects_as_the_rules_say(
        rules in rules(),
        protocol in protocols(),
        address in addresses(),
        port in prop::sample::select(vec![0_u16, 53, 80, 83, 140, 144, 208, 443, 8080, 8083]),
    ) {
        let to = SocketAddr::new(address, port);
        let said = rules.connect(protocol, to);
        let sends = [Hook::SendMessage4, Hook::SendMessage6];
        for hooks in [[Hook::Connect4, Hook::Connect6], sends] {
            if hooks == sends && protocol == Protocol::Tcp {
                continue; // TCP's addresses are judged when it connects.
            }
            match program(&rules, address, hooks) {
                Some(program) => prop_assert_eq!(run(&program, protocol, to), said),
                None => prop_assert_eq!(Some(SocketAddr::new(address.to_canonical(), port)), said),
            }
        }
    }

    #[test]
    fn what_was_moved_is_told_as_it_was(
        rules in rules(),
        protocol in protocols(),
        address in prop::sample::select(vec!["127.0.0.1", "0.0.0.0", "::1", "::"]),
        port in prop::sample::select(vec![53_u16, 80, 8080]),
    ) {
        let asked = SocketAddr::new(address.parse().unwrap(), port);
        let used = rules.bind(protocol, asked).filter(|used| used.port() != port);
        if let Some(used) = used {
            for hooks in [
                [Hook::SocketName4, Hook::SocketName6],
                [Hook::PeerName4, Hook::PeerName6],
                [Hook::ReceiveMessage4, Hook::ReceiveMessage6],
            ] {
                let program = program(&rules, used.ip(), hooks).unwrap();
                let told = run(&program, protocol, used).unwrap();
                // Two ports may be moved onto one another only by a manifest that is refused.
                let ambiguous = rules.ports.iter().filter(|rule| rule.outside == used.port()).count() > 1;
                prop_assert!(ambiguous || told.port() == port, "{} told as {}", used, told);
            }
        }
    }
}
