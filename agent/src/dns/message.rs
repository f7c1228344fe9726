//! Questions and answers as bytes (RFC 1035, section 4; EDNS: RFC 6891).
//!
//! Invariant: pure, and total: any bytes are a question or a [`Malformed`], in time that grows with
//! their length alone. A name in a question is read where it stands: a pointer in it has nothing
//! before it that it could honestly point to, so none is ever followed.

use std::net::IpAddr;

/// Size of a header.
const HEADER: usize = 12;
/// The longest name, in bytes as they are sent.
const NAME: usize = 255;
/// What every resolver can take by UDP.
pub const SMALL: usize = 512;
/// What passes every network in one piece (as the DNS flag day of 2020 has it).
pub const LARGE: usize = 1232;
/// How many records behind the question are looked at.
const RECORDS: usize = 16;

/// Types of records.
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// Start of authority.
    pub const SOA: u16 = 6;
    /// An IPv6 address (RFC 3596).
    pub const AAAA: u16 = 28;
    /// EDNS.
    pub const OPT: u16 = 41;
    /// Whatever there is.
    pub const ANY: u16 = 255;
}

/// Classes: the Internet, and any.
const IN: u16 = 1;
const ANY_CLASS: u16 = 255;

/// Flags of a header: it answers, it knows for sure, it is cut, recursion is desired; and the bits
/// of the operation.
const ANSWERS: u16 = 0x8000;
const AUTHORITATIVE: u16 = 0x0400;
const CUT: u16 = 0x0200;
const DESIRED: u16 = 0x0100;
const OPERATION: u16 = 0x7800;

/// How an answer is meant (RCODE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// All is well.
    Good = 0,
    /// The question is none.
    Malformed = 1,
    /// There is no such name.
    NoName = 3,
    /// Questions are all that is answered.
    Unknown = 4,
    /// Not about this.
    Refused = 5,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question<'a> {
    /// The header's number and flags.
    id: u16,
    flags: u16,
    /// The question as it was sent: name, type, class.
    bytes: &'a [u8],
    /// The name in lower case, without the last dot. A byte that no name of ours has is replaced.
    pub name: String,
    /// The type.
    pub kind: u16,
    /// Whether it is about the Internet.
    pub internet: bool,
    /// What the asker can take by UDP, if it speaks EDNS; with its version.
    edns: Option<(usize, u8)>,
}

/// Why bytes are no question that can be answered as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Not even a header, or an answer itself: say nothing, lest two answer each other for ever.
    Mute,
    /// Say so, to a question with this number and these flags.
    Say(u16, u16, Code),
}

/// Read a question.
///
/// # Errors
/// [`Malformed`].
pub fn read(bytes: &[u8]) -> Result<Question<'_>, Malformed> {
    let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let header = |index: usize| word(index * 2).ok_or(Malformed::Mute);
    let (id, flags) = (header(0)?, header(1)?);
    let counts = [header(2)?, header(3)?, header(4)?, header(5)?];
    if flags & ANSWERS != 0 {
        return Err(Malformed::Mute);
    }
    if flags & OPERATION != 0 {
        return Err(Malformed::Say(id, flags, Code::Unknown));
    }
    let malformed = Malformed::Say(id, flags, Code::Malformed);
    if counts[0] != 1 {
        return Err(malformed);
    }
    let (name, end) = name(bytes, HEADER).ok_or(malformed)?;
    let (kind, class) = (word(end).ok_or(malformed)?, word(end + 2).ok_or(malformed)?);
    let records = counts[1..].iter().map(|count| usize::from(*count)).sum();
    let edns = edns(bytes, end + 4, records).ok_or(malformed)?;
    let internet = [IN, ANY_CLASS].contains(&class);
    Ok(Question { id, flags, bytes: &bytes[HEADER..end + 4], name, kind, internet, edns })
}

/// A name of labels alone, and where it ends.
fn name(bytes: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut text, mut at) = (String::new(), start);
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        match length {
            0 => return Some((text, at)),
            1..=63 if at + length - start < NAME => {}
            _ => return None,
        }
        if !text.is_empty() {
            text.push('.');
        }
        let shown = |byte: &u8| match byte.to_ascii_lowercase() {
            // A dot within a label is no dot between two.
            byte if byte.is_ascii_graphic() && byte != b'.' => char::from(byte),
            _ => char::REPLACEMENT_CHARACTER,
        };
        text.extend(bytes.get(at..at + length)?.iter().map(shown));
        at += length;
    }
}

/// What the OPT record says, if there is one. `None` for a record that is cut short.
#[expect(clippy::option_option)] // whether it can be read, and whether it is there
fn edns(bytes: &[u8], mut at: usize, records: usize) -> Option<Option<(usize, u8)>> {
    for _ in 0..records.min(RECORDS) {
        let root = *bytes.get(at)? == 0;
        at = skip(bytes, at)?;
        let fixed = bytes.get(at..at + 10)?;
        let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        if root && word(0) == kind::OPT {
            return Some(Some((usize::from(word(2)), fixed[5])));
        }
        at += 10 + usize::from(word(8));
    }
    Some(None)
}

/// Where a name ends, wherever it may point to.
fn skip(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*bytes.get(at)?) {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + length,
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

/// The question for the IPv4 address of a label of a domain.
#[must_use]
pub fn question(label: &str, domain: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        [1, DESIRED, 1, 0, 0, 0].into_iter().flat_map(u16::to_be_bytes).collect();
    for label in [label, domain, ""] {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([kind::A, IN].map(u16::to_be_bytes).concat());
    bytes
}

/// Whether these bytes are an answer that says that all is well.
#[must_use]
pub fn is_good(bytes: &[u8]) -> bool {
    const CODE: u8 = 15;
    matches!(bytes, [_, _, upper, lower, ..] if upper & 0x80 != 0 && lower & CODE == 0)
}

/// An answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'a> {
    /// How it is meant.
    pub code: Code,
    /// Addresses of the name.
    pub addresses: &'a [IpAddr],
    /// How long they may be kept, in seconds.
    pub ttl: u32,
    /// Where nothing is told: for how long that may be remembered, and how long is the end of the
    /// name that is this responder's, in bytes as they are sent.
    pub nothing: Option<(u32, usize)>,
}

impl Question<'_> {
    /// Answer it, in at most as many bytes as the asker can take; by TCP in any.
    #[must_use]
    pub fn reply(&self, reply: &Reply<'_>, by_udp: bool) -> Vec<u8> {
        let room = match (by_udp, self.edns) {
            (false, _) => usize::from(u16::MAX),
            (true, None) => SMALL,
            (true, Some((room, _))) => room.clamp(SMALL, LARGE),
        };
        let whole = self.encode(reply, 0);
        if whole.len() <= room {
            return whole;
        }
        // It asks again by TCP.
        self.encode(&Reply { addresses: &[], nothing: None, ..*reply }, CUT)
    }

    fn encode(&self, reply: &Reply<'_>, cut: u16) -> Vec<u8> {
        let wanted = |address: &&IpAddr| match address {
            IpAddr::V4(_) => [kind::A, kind::ANY].contains(&self.kind),
            IpAddr::V6(_) => [kind::AAAA, kind::ANY].contains(&self.kind),
        };
        let addresses: Vec<_> = reply.addresses.iter().filter(wanted).collect();
        // RFC 6891, section 6.1.3: BADVERS is 16, whose upper bits are in the OPT record.
        let bad_version = self.edns.is_some_and(|(_, version)| version > 0);
        let (code, upper) = if bad_version { (0, 1) } else { (reply.code as u16, 0) };
        let counts = match bad_version {
            true => [1, 0, 0, 1],
            false => [
                1,
                addresses.len() as u16,
                u16::from(addresses.is_empty() && reply.nothing.is_some()),
                u16::from(self.edns.is_some()),
            ],
        };
        let mut bytes = header(self.id, self.flags, AUTHORITATIVE | cut | code, counts);
        bytes.extend(self.bytes);
        if counts[1] > 0 {
            addresses.iter().for_each(|address| append_address(&mut bytes, address, reply.ttl));
        }
        if let (1, Some((ttl, end))) = (counts[2], reply.nothing) {
            self.append_authority(&mut bytes, ttl, end);
        }
        if self.edns.is_some() {
            let room = (LARGE as u16).to_be_bytes();
            bytes.extend([0, 0, kind::OPT as u8, room[0], room[1], upper, 0, 0, 0, 0, 0]);
        }
        bytes
    }

    /// The SOA record, from which an asker takes how long nothing stays nothing (RFC 2308).
    fn append_authority(&self, bytes: &mut Vec<u8>, ttl: u32, end: usize) {
        // Before type and class is the name, whose end is the zone's.
        let zone = 0xc000 | (HEADER + self.bytes.len() - 4 - end) as u16;
        bytes.extend(zone.to_be_bytes());
        bytes.extend([kind::SOA, IN].map(u16::to_be_bytes).concat());
        bytes.extend(ttl.to_be_bytes());
        let mut data = zone.to_be_bytes().to_vec();
        data.extend(b"\x07hostctl");
        data.extend(zone.to_be_bytes());
        // Serial, refresh, retry, expire: nobody copies the zone. Then the time of nothing.
        data.extend([1, 3600, 600, 86400, ttl].map(u32::to_be_bytes).concat());
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(data);
    }
}

/// Tell that a question is none.
#[must_use]
pub fn complain(malformed: Malformed) -> Option<Vec<u8>> {
    match malformed {
        Malformed::Mute => None,
        Malformed::Say(id, flags, code) => Some(header(id, flags, code as u16, [0; 4])),
    }
}

fn header(id: u16, asked: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let flags = ANSWERS | flags | asked & (OPERATION | DESIRED);
    let words = [&[id, flags][..], &counts].concat();
    words.into_iter().flat_map(u16::to_be_bytes).collect()
}

fn append_address(bytes: &mut Vec<u8>, address: &IpAddr, ttl: u32) {
    // Its name is that of the question.
    bytes.extend((0xc000 | HEADER as u16).to_be_bytes());
    let (kind, octets) = match address {
        IpAddr::V4(four) => (kind::A, four.octets().to_vec()),
        IpAddr::V6(six) => (kind::AAAA, six.octets().to_vec()),
    };
    bytes.extend([kind, IN].map(u16::to_be_bytes).concat());
    bytes.extend(ttl.to_be_bytes());
    bytes.extend((octets.len() as u16).to_be_bytes());
    bytes.extend(octets);
}

#[cfg(test)]
mod tests;
