//! D-Bus messages from bytes: of what comes back, the parts that answer a call.
//!
//! Pure. Invariant: no bytes from outside make this panic, allocate more than a message may have,
//! or read beyond one.

use super::call::field;

/// Longest message taken, in bytes. systemd's are a few hundred; the specification allows 128 MiB.
const LONGEST: usize = 1 << 20;

/// Bytes of a message that tell how long it is.
pub const PREFIX: usize = 16;

/// What a received message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The answer to a call that went well.
    Return,
    /// The answer to one that did not.
    Error,
    /// News.
    Signal,
    /// A call to us, or a type of the future.
    Other,
}

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What it is.
    pub kind: Kind,
    /// The serial of the call it answers; 0 for none.
    pub reply_to: u32,
    /// The signal's name; empty for none.
    pub member: String,
    /// The error's name; empty for none.
    pub error: String,
    bytes: Vec<u8>,
    body: usize,
}

/// These bytes are no message of D-Bus, or one that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Bytes of a whole message, of which these are the first [`PREFIX`].
///
/// # Errors
/// [`Malformed`], also for a message of more than a MiB.
pub fn length(prefix: &[u8]) -> Result<usize, Malformed> {
    let mut reader = Reader { bytes: prefix, at: 4 };
    let body = reader.number32()? as usize;
    reader.at = 12;
    let fields = reader.number32()? as usize;
    if body > LONGEST || fields > LONGEST {
        return Err(Malformed);
    }
    Ok((PREFIX + fields).next_multiple_of(8) + body)
}

impl Received {
    /// Take a whole message apart.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: Vec<u8>) -> Result<Received, Malformed> {
        if bytes.len() < PREFIX || length(&bytes)? != bytes.len() {
            return Err(Malformed);
        }
        let kind = match bytes[1] {
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => Kind::Other,
        };
        let mut reader = Reader { bytes: &bytes, at: 12 };
        let end = reader.number32()? as usize + PREFIX;
        let (mut reply_to, mut member, mut error) = (0, String::new(), String::new());
        while reader.at < end {
            reader.align(8);
            let code = reader.byte()?;
            match (code, reader.signature()?.as_str()) {
                (field::REPLY_SERIAL, "u") => reply_to = reader.number32()?,
                (field::MEMBER, "s") => member = reader.text()?,
                (field::ERROR_NAME, "s") => error = reader.text()?,
                (_, "u") => drop(reader.number32()?),
                (_, "s" | "o") => drop(reader.text()?),
                (_, "g") => drop(reader.signature()?),
                _ => return Err(Malformed),
            }
        }
        let body = end.next_multiple_of(8);
        Ok(Received { kind, reply_to, member, error, bytes, body })
    }

    /// The arguments, to be read in order.
    pub fn arguments(&self) -> Reader<'_> {
        Reader { bytes: &self.bytes, at: self.body }
    }
}

/// Reads a message from some byte on.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Result<&[u8], Malformed> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count));
        self.at += count;
        taken.ok_or(Malformed)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// `u`, in the sender's byte order.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn number32(&mut self) -> Result<u32, Malformed> {
        self.align(4);
        let order = self.bytes.first().copied();
        let bytes: [u8; 4] = self.take(4)?.try_into().map_err(|_| Malformed)?;
        match order {
            Some(b'l') => Ok(u32::from_le_bytes(bytes)),
            Some(b'B') => Ok(u32::from_be_bytes(bytes)),
            _ => Err(Malformed),
        }
    }

    /// `s` or `o`.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn text(&mut self) -> Result<String, Malformed> {
        let length = self.number32()? as usize;
        self.string(length)
    }

    /// `v` that holds an `s`.
    ///
    /// # Errors
    /// [`Malformed`], for a value of another type too.
    pub fn variant_text(&mut self) -> Result<String, Malformed> {
        match self.signature()?.as_str() {
            "s" => self.text(),
            _ => Err(Malformed),
        }
    }

    fn signature(&mut self) -> Result<String, Malformed> {
        let length = usize::from(self.byte()?);
        self.string(length)
    }

    fn string(&mut self, length: usize) -> Result<String, Malformed> {
        let bytes = self.take(length)?.to_vec();
        self.take(1)?;
        String::from_utf8(bytes).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a bus answers Hello with, in the byte order of a machine with big ends.
    fn hello() -> Vec<u8> {
        let mut bytes = b"B\x02\x01\x01\0\0\0\x0a\0\0\0\x01\0\0\0\x1f".to_vec();
        bytes.extend(b"\x05\x01u\0\0\0\0\x07\x08\x01g\0\x01s\0\0");
        bytes.extend(b"\x06\x01s\0\0\0\0\x06:1.234\0\0");
        bytes.extend(b"\0\0\0\x05:1.23\0");
        bytes
    }

    #[test]
    fn an_answer_names_the_call_and_keeps_its_arguments() {
        let bytes = hello();
        assert_eq!(length(&bytes[..PREFIX]), Ok(bytes.len()));
        let received = Received::decode(bytes).unwrap();
        assert_eq!((received.kind, received.reply_to), (Kind::Return, 7));
        assert_eq!(received.arguments().text().unwrap(), ":1.23");
    }

    #[test]
    fn a_message_with_any_byte_changed_or_missing_is_taken_apart_or_refused() {
        let whole = hello();
        for at in 0..whole.len() {
            assert!(Received::decode(whole[..at].to_vec()).is_err());
            for byte in 0..=255 {
                let mut bytes = whole.clone();
                bytes[at] = byte;
                if let Ok(received) = Received::decode(bytes) {
                    let _ = received.arguments().text();
                }
            }
        }
    }
}
