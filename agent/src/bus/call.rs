//! D-Bus method calls as bytes (D-Bus Specification, "Marshaling" and "Message Format").
//!
//! Pure. Invariant: everything is aligned as the specification says, in little-endian order. Knows
//! only the types its callers need: no descriptors and nothing of systemd's.

use std::net::{IpAddr, SocketAddr};

/// Codes of header fields ("Header Fields"), here and in what comes back.
pub mod field {
    /// Object.
    pub const PATH: u8 = 1;
    /// Interface of the object.
    pub const INTERFACE: u8 = 2;
    /// Method or signal.
    pub const MEMBER: u8 = 3;
    /// What kind of error.
    pub const ERROR_NAME: u8 = 4;
    /// Which call is answered.
    pub const REPLY_SERIAL: u8 = 5;
    /// Name on the bus.
    pub const DESTINATION: u8 = 6;
    /// Types of the arguments.
    pub const SIGNATURE: u8 = 8;
}

/// A value behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `s`.
    Text(String),
    /// `b`.
    Flag(bool),
    /// `t`.
    Number(u64),
    /// `au`.
    Numbers(Vec<u32>),
    /// `as`.
    Texts(Vec<String>),
}

/// A method call: to whom, on which object, which method, with which arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Name on the bus.
    pub destination: &'static str,
    /// Object.
    pub path: &'static str,
    /// Interface of the object.
    pub interface: &'static str,
    /// Method.
    pub member: &'static str,
    /// Types of the arguments.
    pub signature: &'static str,
    /// Arguments.
    pub body: Writer,
}

impl Call {
    /// The message. `serial` is not 0 and unlike any other of the connection.
    pub fn encode(&self, serial: u32) -> Vec<u8> {
        const METHOD_CALL: u8 = 1;
        let mut writer = Writer { bytes: vec![b'l', METHOD_CALL, 0, 1] };
        writer.number32(self.body.bytes.len() as u32);
        writer.number32(serial);
        writer.array(8, |writer| {
            writer.header(field::PATH, "o", self.path);
            writer.header(field::DESTINATION, "s", self.destination);
            writer.header(field::INTERFACE, "s", self.interface);
            writer.header(field::MEMBER, "s", self.member);
            if !self.signature.is_empty() {
                writer.header(field::SIGNATURE, "g", self.signature);
            }
        });
        writer.align(8);
        writer.bytes.extend(&self.body.bytes);
        writer.bytes
    }
}

/// Arguments in the making, little-endian.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    fn number32(&mut self, number: u32) {
        self.align(4);
        self.bytes.extend(number.to_le_bytes());
    }

    /// `s` or `o`.
    pub fn text(&mut self, text: &str) {
        self.number32(text.len() as u32);
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
    }

    /// `g`.
    fn signature(&mut self, signature: &str) {
        self.bytes.push(signature.len() as u8);
        self.bytes.extend(signature.as_bytes());
        self.bytes.push(0);
    }

    /// An array whose elements are aligned to `alignment`; its length leaves out the padding in
    /// front of the first.
    fn array(&mut self, alignment: usize, fill: impl FnOnce(&mut Writer)) {
        self.number32(0);
        let place = self.bytes.len() - 4;
        self.align(alignment);
        let start = self.bytes.len();
        fill(self);
        let length = (self.bytes.len() - start) as u32;
        self.bytes[place..place + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn header(&mut self, code: u8, signature: &str, value: &str) {
        self.align(8);
        self.bytes.push(code);
        self.signature(signature);
        match signature {
            "g" => self.signature(value),
            _ => self.text(value),
        }
    }

    /// `i`; negative numbers are nobody's yet.
    pub fn index(&mut self, index: u32) {
        self.number32(index);
    }

    /// `b`.
    pub fn flag(&mut self, flag: bool) {
        self.number32(u32::from(flag));
    }

    /// `a(sb)`: names and whether each is so.
    pub fn flags(&mut self, flags: &[(&str, bool)]) {
        self.array(8, |writer| {
            for (name, flag) in flags {
                writer.align(8);
                writer.text(name);
                writer.flag(*flag);
            }
        });
    }

    /// `a(iayqs)`: servers by family (AF_INET, AF_INET6), address, port, and the name that their
    /// certificates have; none here.
    pub fn servers(&mut self, servers: &[SocketAddr]) {
        self.array(8, |writer| {
            for server in servers {
                writer.align(8);
                let (family, address) = match server.ip() {
                    IpAddr::V4(four) => (2, four.octets().to_vec()),
                    IpAddr::V6(six) => (10, six.octets().to_vec()),
                };
                writer.number32(family);
                writer.array(1, |writer| writer.bytes.extend(address));
                writer.align(2);
                writer.bytes.extend(server.port().to_le_bytes());
                writer.text("");
            }
        });
    }

    /// `a(sv)`: names and values.
    pub fn properties(&mut self, properties: &[(&str, Value)]) {
        self.array(8, |writer| {
            for (name, value) in properties {
                writer.align(8);
                writer.text(name);
                writer.variant(value);
            }
        });
    }

    /// An empty array of structures.
    pub fn nothing(&mut self) {
        self.array(8, |_| ());
    }

    fn variant(&mut self, value: &Value) {
        match value {
            Value::Text(text) => {
                self.signature("s");
                self.text(text);
            }
            Value::Flag(flag) => {
                self.signature("b");
                self.number32(u32::from(*flag));
            }
            Value::Number(number) => {
                self.signature("t");
                self.align(8);
                self.bytes.extend(number.to_le_bytes());
            }
            Value::Numbers(numbers) => {
                self.signature("au");
                self.array(4, |writer| numbers.iter().for_each(|number| writer.number32(*number)));
            }
            Value::Texts(texts) => {
                self.signature("as");
                self.array(4, |writer| texts.iter().for_each(|text| writer.text(text)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written down by hand from the specification too.
    #[test]
    fn structures_begin_at_multiples_of_eight() {
        let mut body = Writer::default();
        body.index(3);
        body.servers(&["127.0.99.53:10053".parse().unwrap(), "[::1]:53".parse().unwrap()]);
        let mut expected = vec![3, 0, 0, 0, 57, 0, 0, 0];
        expected.extend([2, 0, 0, 0, 4, 0, 0, 0, 127, 0, 99, 53, 0x45, 0x27, 0, 0]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([10, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 1, 53, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(body.bytes, expected);
        let mut body = Writer::default();
        body.flags(&[("internal", true)]);
        let mut expected = vec![20, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0];
        expected.extend(b"internal\0\0\0\0\x01\0\0\0");
        assert_eq!(body.bytes, expected);
    }

    /// Written down by hand from the specification.
    #[test]
    fn a_call_is_laid_out_as_the_specification_says() {
        let mut body = Writer::default();
        body.text("ab");
        body.properties(&[("P", Value::Number(7)), ("N", Value::Numbers(vec![5]))]);
        let call = Call {
            destination: "d",
            path: "/o",
            interface: "i.i",
            member: "M",
            signature: "sa(sv)",
            body,
        };
        let mut expected = b"l\x01\x00\x01".to_vec();
        expected.extend([60, 0, 0, 0, 9, 0, 0, 0, 76, 0, 0, 0]);
        expected.extend(b"\x01\x01o\0\x02\0\0\0/o\0\0\0\0\0\0");
        expected.extend(b"\x06\x01s\0\x01\0\0\0d\0\0\0\0\0\0\0");
        expected.extend(b"\x02\x01s\0\x03\0\0\0i.i\0\0\0\0\0");
        expected.extend(b"\x03\x01s\0\x01\0\0\0M\0\0\0\0\0\0\0");
        expected.extend(b"\x08\x01g\0\x06sa(sv)\0\0\0\0\0");
        expected.extend(b"\x02\0\0\0ab\0\0\x2c\0\0\0\0\0\0\0");
        expected.extend(b"\x01\0\0\0P\0\x01t\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0");
        expected.extend(b"\x01\0\0\0N\0\x02au\0\0\0\x04\0\0\0\x05\0\0\0");
        assert_eq!(call.encode(9), expected);
    }
}
