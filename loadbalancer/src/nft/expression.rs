//! The kernel's expressions: a register machine that runs over every packet, and how each is
//! encoded (linux/netfilter/nf_tables.h).
//!
//! Invariant: a value compared with a register is as long as what was loaded into it.

use super::encode::Attributes;

/// Registers of 16 bytes each (NFT_REG_1, NFT_REG_2).
#[derive(Debug, Clone, Copy)]
pub(super) enum Register {
    One = 1,
    Two = 2,
}

/// One instruction. What a comparison does not find ends the rule.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    /// Load something about the packet, by NFT_META_*.
    Meta(u32),
    /// Set something about the packet, by NFT_META_*.
    SetMeta(u32),
    /// Load bytes of a header: NFT_PAYLOAD_*_HEADER, offset, length.
    Payload { base: u32, offset: u32, length: u32 },
    /// Load something about the connection, by NFT_CT_*.
    Connection(u32),
    /// Load the type of an address: NFTA_FIB_F_*.
    AddressType(u32),
    /// Keep the bits of a mask.
    Mask(Vec<u8>),
    /// Compare register one.
    Compare { equal: bool, value: Vec<u8> },
    /// Load a value.
    Immediate(Register, Vec<u8>),
    /// End with a verdict: its code, and the chain of a jump.
    Verdict(i32, Option<String>),
    /// Rewrite: NFT_NAT_*, the family's number, whether a port is in register two.
    Nat { kind: u32, family: u32, port: bool },
    /// Rewrite the source to the device's.
    Masquerade,
    /// Count packets and bytes.
    Counter,
}

/// NFT_REG_VERDICT.
const VERDICT: u32 = 0;
const ONE: u32 = Register::One as u32;
/// NFTA_DATA_VALUE, NFTA_DATA_VERDICT.
const VALUE: u16 = 1;
const CODE: u16 = 2;

impl Expression {
    /// NFTA_EXPR_NAME and NFTA_EXPR_DATA.
    pub(super) fn encode(&self, element: &mut Attributes) {
        element.string(1, self.name());
        element.nest(2, |data| self.data(data));
    }

    fn name(&self) -> &'static str {
        match self {
            Expression::Meta(_) | Expression::SetMeta(_) => "meta",
            Expression::Payload { .. } => "payload",
            Expression::Connection(_) => "ct",
            Expression::AddressType(_) => "fib",
            Expression::Mask(_) => "bitwise",
            Expression::Compare { .. } => "cmp",
            Expression::Immediate(..) | Expression::Verdict(..) => "immediate",
            Expression::Nat { .. } => "nat",
            Expression::Masquerade => "masq",
            Expression::Counter => "counter",
        }
    }

    /// Attribute numbers are those of the expression's own NFTA_*_ enumeration.
    fn data(&self, data: &mut Attributes) {
        match self {
            Expression::Meta(key) | Expression::Connection(key) => {
                data.number(1, ONE).number(2, *key);
            }
            Expression::SetMeta(key) => {
                data.number(2, *key).number(3, ONE);
            }
            Expression::Payload { base, offset, length } => {
                data.number(1, ONE).number(2, *base).number(3, *offset).number(4, *length);
            }
            Expression::AddressType(flags) => {
                /// NFT_FIB_RESULT_ADDRTYPE.
                const TYPE: u32 = 3;
                data.number(1, ONE).number(2, TYPE).number(3, *flags);
            }
            Expression::Mask(mask) => {
                data.number(1, ONE).number(2, ONE).number(3, mask.len() as u32);
                data.nest(4, |value| value.bytes(VALUE, mask));
                data.nest(5, |value| value.bytes(VALUE, &vec![0; mask.len()]));
            }
            Expression::Compare { equal, value } => {
                data.number(1, ONE).number(2, u32::from(!equal));
                data.nest(3, |data| data.bytes(VALUE, value));
            }
            Expression::Immediate(register, value) => {
                data.number(1, *register as u32);
                data.nest(2, |data| data.bytes(VALUE, value));
            }
            Expression::Verdict(code, chain) => {
                data.number(1, VERDICT);
                data.nest(2, |data| {
                    data.nest(CODE, |verdict| {
                        verdict.number(1, *code as u32);
                        chain.iter().for_each(|chain| verdict.string(2, chain));
                    });
                });
            }
            Expression::Nat { kind, family, port } => {
                data.number(1, *kind).number(2, *family).number(3, ONE);
                if *port {
                    data.number(5, Register::Two as u32);
                }
            }
            Expression::Masquerade | Expression::Counter => {}
        }
    }
}
