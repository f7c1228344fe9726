//! Netlink messages in a datagram: their header, and the acknowledgement (netlink(7)).
//!
//! Invariant: no byte outside the datagram is read, whatever lengths it claims.

use std::iter;

use super::Refusal;
use crate::Errno;

/// One message; its body is what follows the header of 16 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Its type (nlmsg_type).
    pub kind: u16,
    /// Its flags (nlmsg_flags).
    pub flags: u16,
    /// The request it is or answers (nlmsg_seq).
    pub sequence: u32,
    /// What follows the header.
    pub body: &'a [u8],
    /// Header and body.
    pub whole: &'a [u8],
}

/// Size of nlmsghdr.
const HEADER: usize = 16;
/// Flag of an answer with words: the kernel's attributes follow the header it repeats.
const NLM_F_ACK_TLVS: u16 = 0x200;
/// The attribute with the words (linux/netlink.h).
const NLMSGERR_ATTR_MSG: u16 = 1;

/// The messages of a datagram, up to the first that is malformed.
pub fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    iter::from_fn(move || {
        let length = u32::from_ne_bytes(array(bytes, 0)?) as usize;
        let whole = bytes.get(..length)?;
        let message = Message {
            kind: u16::from_ne_bytes(array(bytes, 4)?),
            flags: u16::from_ne_bytes(array(bytes, 6)?),
            sequence: u32::from_ne_bytes(array(bytes, 8)?),
            body: whole.get(HEADER..)?,
            whole,
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

impl Message<'_> {
    /// Whether a request asks for an acknowledgement.
    pub fn wants_acknowledgement(&self) -> bool {
        self.flags & libc::NLM_F_ACK as u16 != 0
    }

    /// The end of an answer: an acknowledgement, a refusal, or the end of a dump.
    pub fn answer(&self) -> Option<Result<(), Refusal>> {
        match i32::from(self.kind) {
            libc::NLMSG_ERROR | libc::NLMSG_DONE => Some(self.outcome()),
            _ => None,
        }
    }

    fn outcome(&self) -> Result<(), Refusal> {
        match array(self.body, 0).map_or(0, i32::from_ne_bytes) {
            0 => Ok(()),
            // The end of a dump tells a positive number where it tells any but an error.
            code if code > 0 => Ok(()),
            code => Err(Refusal {
                sequence: self.sequence,
                errno: Errno::from_raw(code.saturating_neg()),
                text: self.words(),
            }),
        }
    }

    /// What NETLINK_EXT_ACK added. The request's header comes first, alone: NETLINK_CAP_ACK.
    fn words(&self) -> Option<String> {
        let repeated = if i32::from(self.kind) == libc::NLMSG_DONE { 0 } else { HEADER };
        let mut rest = self.body.get(size_of::<i32>() + repeated..)?;
        if self.flags & NLM_F_ACK_TLVS == 0 {
            return None;
        }
        loop {
            let length = usize::from(u16::from_ne_bytes(array(rest, 0)?));
            let value = rest.get(4..length)?;
            if u16::from_ne_bytes(array(rest, 2)?) == NLMSGERR_ATTR_MSG {
                let text = value.split(|byte| *byte == 0).next()?;
                return Some(String::from_utf8_lossy(text).into_owned());
            }
            rest = rest.get(length.next_multiple_of(4)..)?;
        }
    }
}

/// `N` bytes of a message.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}
