//! Attributes and headers of netlink (netlink(7), libnl's attribute format), as the subsystems of
//! netfilter use them.
//!
//! Invariant: every attribute starts at a multiple of four bytes and says its length without the
//! padding; no byte outside what is read is touched, whatever lengths it claims. Numbers are
//! big-endian.

/// NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP (netlink(7)).
pub(crate) const REQUEST: u16 = 1;
pub(crate) const ACK: u16 = 4;
pub(crate) const DUMP: u16 = 0x300;
/// NLA_F_NESTED.
const NESTED: u16 = 1 << 15;
/// NFPROTO_INET, NFPROTO_NETDEV.
pub(crate) const INET: u8 = 1;
pub(crate) const NETDEV: u8 = 5;

/// A row of attributes.
#[derive(Debug, Default)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.0.extend(((4 + value.len()) as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// A string, which ends with a zero.
    pub(crate) fn string(&mut self, kind: u16, value: &str) {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat());
    }

    /// A number of 32 bits.
    pub(crate) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes());
        self
    }

    /// Attributes within an attribute.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes)) {
        let mut inner = Attributes::default();
        fill(&mut inner);
        self.row(kind, inner);
    }

    /// Attributes within an attribute, as somebody else has encoded them.
    pub(crate) fn nested(&mut self, kind: u16, inner: &[u8]) {
        self.bytes(kind | NESTED, inner);
    }

    /// The same, of attributes that are there.
    pub(crate) fn row(&mut self, kind: u16, inner: Attributes) {
        self.nested(kind, &inner.0);
    }

    /// The row as it is sent.
    #[cfg(test)]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The attributes of a row, up to the first that is malformed: their kinds without flags, and what
/// is in them.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [a, b, c, d, ..] = *bytes else { return None };
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        // NLA_TYPE_MASK.
        Some((u16::from_ne_bytes([c, d]) & 0x3fff, value))
    })
}

/// The first attribute of a kind.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// Add a message: nlmsghdr, nfgenmsg, attributes.
pub(crate) fn message(
    bytes: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    sequence: u32,
    (family, resource): (u8, u16),
    attributes: &Attributes,
) {
    let length = 16 + 4 + attributes.0.len();
    bytes.extend((length as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]); // the kernel knows the sender
    bytes.extend([family, 0]); // NFNETLINK_V0
    bytes.extend(resource.to_be_bytes());
    bytes.extend(&attributes.0);
}
