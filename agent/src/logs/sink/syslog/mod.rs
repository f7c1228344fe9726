//! Sinks that speak syslog (RFC 5424) over what carries it.
//!
//! Invariant: never says that a record is taken before all that can be known of that is known.
//! Over a stream the other side has every byte then: over TCP its system, which has told so; over a
//! socket of this host its program. A datagram on this host was put into the receiver's queue. A
//! datagram of UDP was sent, and that is all; if this host learns that nobody takes them, those that
//! follow wait.
//!
//! No form of syslog lets a peer tell that it has a record already: when a stream breaks, or after a
//! kill, those of one batch are sent again.

pub mod message;
mod stream;

use std::io;

use host_sys::Errno;
use manifest_spec::sink::SyslogAddress;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};
use tokio::time::timeout;

use super::line::Subject;
use super::reach::{self, Patience};
use super::{Answer, Codec, Verdict};
use crate::logs::route::batch::Part;
use stream::Stream;

/// What fits into a datagram of UDP over IPv4 (RFC 5426, 3.2), in bytes.
const DATAGRAM: usize = 65_507;
/// What a receiver should take at least (RFC 5426, 3.2), if a whole datagram does not fit on the way.
const SMALL_DATAGRAM: usize = 2048;
/// What a datagram on this host may have; the kernel's own bound is about twice that.
const LOCAL_DATAGRAM: usize = 96 * 1024;

/// How messages are told apart on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One datagram each, with at most so many bytes.
    Datagram(usize),
    /// Its length before each (RFC 6587, 3.4.1).
    Counted,
}

impl Framing {
    /// Append a record.
    pub fn append(self, subject: &Subject<'_>, out: &mut Vec<u8>) {
        match self {
            Framing::Datagram(most) => message::append(subject, most, out),
            Framing::Counted => {
                let mut one = Vec::new();
                message::append(subject, usize::MAX, &mut one);
                out.extend_from_slice(one.len().to_string().as_bytes());
                out.push(b' ');
                out.extend_from_slice(&one);
            }
        }
    }
}

/// A receiver of syslog.
#[derive(Debug)]
pub struct SyslogSink {
    place: SyslogAddress,
    patience: Patience,
    line: Line,
}

/// What leads to it.
#[derive(Debug)]
enum Line {
    None,
    Local(UnixDatagram),
    LocalStream(Stream<UnixStream>),
    Udp(UdpSocket),
    Tcp(Stream<TcpStream>),
}

impl SyslogSink {
    /// The receiver at this place. Touches nothing.
    pub fn new(place: SyslogAddress, patience: Patience) -> SyslogSink {
        SyslogSink { place, patience, line: Line::None }
    }

    /// How records are written for it.
    pub fn codec(&self) -> Codec {
        Codec::Syslog(match self.place {
            SyslogAddress::Unix(_) => Framing::Datagram(LOCAL_DATAGRAM),
            SyslogAddress::Udp(_) => Framing::Datagram(DATAGRAM),
            SyslogAddress::Tcp(_) => Framing::Counted,
        })
    }

    /// Send records.
    pub async fn deliver(&mut self, part: &Part<'_>) -> Answer {
        if matches!(self.line, Line::None) {
            match self.connect().await {
                Ok(line) => self.line = line,
                Err(said) => return Answer::failed(said),
            }
        }
        let answer = match &mut self.line {
            Line::None => Answer::failed("there is no connection"),
            Line::Tcp(stream) => stream.deliver(&part.bytes(), part.count()).await,
            // What was written for a datagram has no length before it yet.
            Line::LocalStream(stream) => stream.deliver(&counted(part), part.count()).await,
            Line::Local(socket) => local(socket, part, self.patience).await,
            Line::Udp(socket) => udp(socket, part).await,
        };
        match answer.verdict {
            Verdict::Failed => {
                // The next try begins anew.
                self.line = Line::None;
                let place = self.shown();
                Answer { said: format!("{place}: {}", answer.said), ..answer }
            }
            _ => answer,
        }
    }

    async fn connect(&self) -> Result<Line, String> {
        match &self.place {
            SyslogAddress::Udp(peer) => Ok(Line::Udp(reach::udp(peer, self.patience).await?)),
            SyslogAddress::Tcp(peer) => {
                Ok(Line::Tcp(Stream::new(reach::tcp(peer, self.patience).await?, self.patience)))
            }
            SyslogAddress::Unix(path) => {
                let failed = |error: io::Error| format!("{path}: {}", local_words(&error));
                let socket = UnixDatagram::unbound().map_err(failed)?;
                match socket.connect(path) {
                    Ok(()) => Ok(Line::Local(socket)),
                    // There is a socket, of the other type.
                    Err(error) if error.raw_os_error() == Some(Errno::EPROTOTYPE as i32) => {
                        let stream = UnixStream::connect(path).await.map_err(failed)?;
                        Ok(Line::LocalStream(Stream::new(stream, self.patience)))
                    }
                    Err(error) => Err(failed(error)),
                }
            }
        }
    }

    fn shown(&self) -> String {
        match &self.place {
            SyslogAddress::Unix(path) => path.clone(),
            SyslogAddress::Udp(peer) | SyslogAddress::Tcp(peer) => peer.to_string(),
        }
    }
}

/// The messages of a part with their lengths.
fn counted(part: &Part<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in part.each() {
        bytes.extend_from_slice(format!("{} ", message.len()).as_bytes());
        bytes.extend_from_slice(message);
    }
    bytes
}

fn local_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        io::ErrorKind::ConnectionRefused => "nobody listens".to_owned(),
        _ => reach::words(error),
    }
}

/// One datagram after the other, as soon as there is room in the receiver's queue.
async fn local(socket: &UnixDatagram, part: &Part<'_>, patience: Patience) -> Answer {
    for (taken, message) in part.each().enumerate() {
        let sent = timeout(patience.answer, socket.send(message)).await;
        match sent {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if is_too_large(&error) => {
                return Answer::none(Verdict::TooLarge, reach::words(&error)).after(taken);
            }
            Ok(Err(error)) => return Answer::failed(local_words(&error)).after(taken),
            Err(_) => return Answer::failed("its queue stays full").after(taken),
        }
    }
    Answer::taken(part.count())
}

async fn udp(socket: &UdpSocket, part: &Part<'_>) -> Answer {
    for (taken, message) in part.each().enumerate() {
        let sent = match socket.send(message).await {
            Err(error) if is_too_large(&error) => {
                let small = message.len().min(SMALL_DATAGRAM);
                let text = String::from_utf8_lossy(&message[..small]);
                // Cut between two characters, as the rest is text.
                socket.send(text.trim_end_matches('\u{fffd}').as_bytes()).await
            }
            sent => sent,
        };
        if let Err(error) = sent {
            // The system tells of one that was sent before, and does not say which.
            let said = match error.kind() {
                io::ErrorKind::ConnectionRefused => "nobody listens".to_owned(),
                _ => reach::words(&error),
            };
            return Answer::failed(said).after(taken);
        }
    }
    Answer::taken(part.count())
}

fn is_too_large(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EMSGSIZE as i32)
}
