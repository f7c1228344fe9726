//! The kernel's expressions: a register machine that runs over every packet, and how each is
//! encoded (linux/netfilter/nf_tables.h).
//!
//! Invariant: a value compared with a register is as long as what was loaded into it.

use crate::netlink::Attributes;

/// Where something is loaded to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Register {
    /// The first one of 16 bytes (NFT_REG_1).
    One,
    /// The second one of 16 bytes (NFT_REG_2).
    Two,
    /// The same memory by words of four bytes, 0 to 15 (NFT_REG32_00 and following): the first
    /// register is words 0 to 3. What is longer goes on in the next ones.
    Word(u32),
}

impl Register {
    fn number(self) -> u32 {
        match self {
            Register::One => 1,
            Register::Two => 2,
            Register::Word(index) => 8 + index,
        }
    }
}

/// One instruction. What a comparison does not find ends the rule.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    /// Load something about the packet, by NFT_META_*.
    Meta(Register, u32),
    /// Set something about the packet, by NFT_META_*.
    SetMeta(u32),
    /// Load bytes of a header: NFT_PAYLOAD_*_HEADER, offset, length.
    Payload { to: Register, base: u32, offset: u32, length: u32 },
    /// Load something about the connection, by NFT_CT_*; of one direction (IP_CT_DIR_*), where it
    /// has one.
    Connection { to: Register, key: u32, direction: Option<u8> },
    /// Load a number: by turns, or at random.
    Number { to: Register, modulus: u32, random: bool },
    /// Load the hash of a row of bytes.
    Hash { from: Register, length: u32, to: Register, modulus: u32, seed: u32 },
    /// Look a key up from word 0: what is not found ends the rule. Its data goes to a register, or
    /// is the verdict.
    Lookup { set: String, to: Option<Target> },
    /// Add an element with a key from word 0 to a map, for so many seconds; or give the one that is
    /// there so many more.
    Learn { map: String, data: Register, seconds: u32 },
    /// Refuse: NFT_REJECT_*, and the code of what has one.
    Reject { kind: u32, code: u8 },
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
    /// Rewrite: NFT_NAT_*, the family's number, where a port is. The address is in register one.
    Nat { kind: u32, family: u32, port: Option<Register> },
    /// Rewrite the source to the device's.
    Masquerade,
    /// Count packets and bytes.
    Counter,
}

/// Where what was looked up goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// From word 0 on.
    First,
    /// It decides.
    Verdict,
}

/// NFT_REG_VERDICT, NFT_REG_1.
const VERDICT: u32 = 0;
const ONE: u32 = 1;
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
            Expression::Meta(..) | Expression::SetMeta(_) => "meta",
            Expression::Payload { .. } => "payload",
            Expression::Connection { .. } => "ct",
            Expression::Number { .. } => "numgen",
            Expression::Hash { .. } => "hash",
            Expression::Lookup { .. } => "lookup",
            Expression::Learn { .. } => "dynset",
            Expression::Reject { .. } => "reject",
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
            Expression::Meta(to, key) => {
                data.number(1, to.number()).number(2, *key);
            }
            Expression::Connection { to, key, direction } => {
                data.number(1, to.number()).number(2, *key);
                direction.iter().for_each(|direction| data.bytes(3, &[*direction]));
            }
            Expression::Number { to, modulus, random } => {
                data.number(1, to.number()).number(2, *modulus).number(3, u32::from(*random));
            }
            Expression::Hash { from, length, to, modulus, seed } => {
                data.number(1, from.number()).number(2, to.number()).number(3, *length);
                data.number(4, *modulus).number(5, *seed);
            }
            Expression::Lookup { set, to } => {
                data.string(1, set);
                data.number(2, Register::Word(0).number());
                match to {
                    None => {}
                    Some(Target::First) => _ = data.number(3, ONE),
                    Some(Target::Verdict) => _ = data.number(3, VERDICT),
                }
            }
            Expression::Learn { map, data: from, seconds } => {
                /// NFT_DYNSET_OP_UPDATE.
                const UPDATE: u32 = 1;
                data.string(1, map);
                data.number(3, UPDATE).number(4, Register::Word(0).number());
                data.number(5, from.number());
                data.bytes(6, &(u64::from(*seconds) * 1000).to_be_bytes());
            }
            Expression::Reject { kind, code } => {
                data.number(1, *kind).bytes(2, &[*code]);
            }
            Expression::SetMeta(key) => {
                data.number(2, *key).number(3, ONE);
            }
            Expression::Payload { to, base, offset, length } => {
                data.number(1, to.number()).number(2, *base).number(3, *offset).number(4, *length);
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
                data.number(1, register.number());
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
                port.iter().for_each(|port| _ = data.number(5, port.number()));
            }
            Expression::Masquerade | Expression::Counter => {}
        }
    }
}
