//! Addresses that instances can have for themselves, counted from 1.
//!
//! Invariant: pure; number n is one IPv4 and one IPv6 address, neither the first nor the last of its
//! network, and no two numbers share one.

use std::net::{Ipv4Addr, Ipv6Addr};

use manifest_spec::policy::AddressRange;

use super::rules::OwnAddress;

/// The addresses of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool(pub AddressRange);

impl Pool {
    /// The addresses with this number; `None` past the last.
    pub fn nth(self, number: u32) -> Option<OwnAddress> {
        let size = 1_u32 << (32 - u32::from(self.0.prefix));
        (1..size - 1).contains(&number).then(|| OwnAddress {
            v4: Ipv4Addr::from_bits(self.0.v4.to_bits() + number),
            v6: Ipv6Addr::from_bits(self.0.v6.to_bits() + u128::from(number)),
        })
    }

    /// All of them, in order.
    pub fn all(self) -> impl Iterator<Item = OwnAddress> {
        (1..).map_while(move |number| self.nth(number))
    }

    /// The one with this IPv4 address; `None` if it is none of them.
    pub fn with(self, address: Ipv4Addr) -> Option<OwnAddress> {
        self.nth(address.to_bits().checked_sub(self.0.v4.to_bits())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_network_are_left_out() {
        let range = AddressRange { prefix: 30, ..AddressRange::default() };
        let all: Vec<_> = Pool(range).all().map(|own| own.v4.to_string()).collect();
        assert_eq!(all, ["10.99.0.1", "10.99.0.2"]);
        let with = |address: &str| Pool(range).with(address.parse().unwrap());
        assert_eq!(with("10.99.0.2"), Pool(range).nth(2));
        for other in ["10.99.0.0", "10.99.0.3", "10.99.0.4", "10.98.255.255"] {
            assert_eq!(with(other), None, "{other}");
        }
        let last = Pool(AddressRange::default()).all().last().unwrap();
        assert_eq!(last.v4.to_string(), "10.99.255.254");
        assert_eq!(last.v6.to_string(), "fd5c:91e3:7ab4::fffe");
    }
}
