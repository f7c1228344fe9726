//! Where clients find a port, as a value of the document: a number, or an address with one.

use std::net::SocketAddr;

use super::PortNumber;
use crate::decode::{Decode, Decoder, Fault, Text};
use crate::error::quoted;
use crate::manifest::Listen;
use crate::shape::{Shape, TextShape};
use crate::tree::{Node, Value};

/// Where clients find a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawListen(pub(crate) Listen);

/// The form with an address.
struct Place(SocketAddr);

impl Text for Place {
    const SHAPE: TextShape = TextShape {
        expected: "an address and a port such as \"192.0.2.1:80\"",
        pattern: Some("^([0-9.]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]+$"),
        examples: &["192.0.2.1:80", "[::1]:80"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let Ok(place) = text.parse::<SocketAddr>() else {
            return Err(match text.parse::<u16>() {
                Ok(number) => Fault::default().hint(format!("write {number}, without quotes")),
                Err(_) => Fault::default(),
            });
        };
        let ip = place.ip().to_canonical();
        if place.port() == 0 {
            return Err(Fault::because("port 0 is no port"));
        }
        if ip.is_unspecified() {
            return Err(Fault::because(format!("{} is every address", quoted(text)))
                .hint(format!("write {}, without an address", place.port())));
        }
        if ip.is_multicast() {
            return Err(Fault::because(format!("{} is no address of a host", quoted(text))));
        }
        Ok(Self(SocketAddr::new(ip, place.port())))
    }
}

impl Decode for RawListen {
    fn shape() -> Shape {
        Shape::Either(vec![PortNumber::shape(), Place::shape()])
    }

    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        match &node.value {
            Value::Integer(_) => {
                let port = u16::try_from(PortNumber::decode(node, cx)?.0).ok()?;
                Some(Self(Listen { address: None, port }))
            }
            Value::Text(_) => {
                let Place(place) = Place::decode(node, cx)?;
                Some(Self(Listen { address: Some(place.ip()), port: place.port() }))
            }
            _ => {
                cx.mismatch(node, &Self::shape());
                None
            }
        }
    }
}
