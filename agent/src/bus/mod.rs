//! A connection to whoever speaks D-Bus at a socket: proving who we are, calls out, messages in.
//!
//! Invariant: nothing here waits beyond the connection's end of time. Knows nothing of systemd.
//!
//! | module | owns |
//! | --- | --- |
//! | [`call`], [`reply`] | messages as bytes |

pub mod call;
pub mod reply;

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use call::{Call, Writer};
use reply::{Malformed, Received};

/// The system bus (D-Bus Specification, "System message bus").
pub const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";

/// What a bus is told first.
#[must_use]
pub fn hello() -> Call {
    const BUS: &str = "org.freedesktop.DBus";
    Call {
        destination: BUS,
        path: "/org/freedesktop/DBus",
        interface: BUS,
        member: "Hello",
        signature: "",
        body: Writer::default(),
    }
}

/// Why a connection is of no more use.
#[derive(Debug)]
pub enum BusError {
    /// The socket can't be reached, read or written.
    Io(io::Error),
    /// It did not take our word for who we are, but said this.
    Rejected(String),
    /// It closed the connection.
    Closed,
    /// It said nothing until the end of time.
    Silent,
    /// It said something that is not D-Bus.
    Malformed,
}

impl From<io::Error> for BusError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => BusError::Silent,
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => BusError::Closed,
            _ => BusError::Io(error),
        }
    }
}

impl From<Malformed> for BusError {
    fn from(_: Malformed) -> Self {
        BusError::Malformed
    }
}

impl std::fmt::Display for BusError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BusError::Io(error) => error.fmt(f),
            BusError::Rejected(answer) => write!(f, "it does not accept our uid: {answer:?}"),
            BusError::Closed => f.write_str("it closed the connection"),
            BusError::Silent => f.write_str("no answer in time"),
            BusError::Malformed => f.write_str("its answer is not D-Bus"),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Bus {
    stream: BufReader<UnixStream>,
    end: Instant,
    serial: u32,
}

impl Bus {
    /// Connect, and have the kernel vouch for `uid` (SASL's EXTERNAL). Nothing waits past `end`.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn connect(socket: &Path, uid: u32, end: Instant) -> Result<Bus, BusError> {
        let stream = BufReader::new(UnixStream::connect(socket)?);
        let mut bus = Bus { stream, end, serial: 0 };
        let digits: String = uid.to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
        // BEGIN at once, as systemd's own clients do. A call that systemd reads together with BEGIN
        // stays unread until something else comes; after its answer, none can.
        bus.write(format!("\0AUTH EXTERNAL {digits}\r\nBEGIN\r\n").as_bytes())?;
        let answer = bus.line()?;
        if !answer.starts_with("OK ") {
            return Err(BusError::Rejected(answer));
        }
        Ok(bus)
    }

    /// Send a call; its serial is in the answer to it.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn send(&mut self, call: &Call) -> Result<u32, BusError> {
        self.serial += 1;
        self.write(&call.encode(self.serial))?;
        Ok(self.serial)
    }

    /// The next message.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn receive(&mut self) -> Result<Received, BusError> {
        let mut bytes = vec![0; reply::PREFIX];
        self.read(&mut bytes)?;
        bytes.resize(reply::length(&bytes)?, 0);
        self.read(&mut bytes[reply::PREFIX..])?;
        Ok(Received::decode(bytes)?)
    }

    /// A line of the greeting. Taken byte by byte: what follows it is no line.
    fn line(&mut self) -> Result<String, BusError> {
        const LONGEST: usize = 1024;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.read(&mut byte)?;
            line.push(byte[0]);
            if line.len() > LONGEST {
                return Err(BusError::Malformed);
            }
        }
        Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
    }

    /// Fill the buffer. The time left is set anew before each wait, so that a trickle ends too.
    fn read(&mut self, mut buffer: &mut [u8]) -> Result<(), BusError> {
        while !buffer.is_empty() {
            if self.stream.buffer().is_empty() {
                let left = self.end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(BusError::Silent);
                }
                self.stream.get_ref().set_read_timeout(Some(left))?;
            }
            match self.stream.read(buffer) {
                Ok(0) => return Err(BusError::Closed),
                Ok(count) => buffer = &mut buffer[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BusError> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(BusError::Silent);
        }
        let mut stream = self.stream.get_ref();
        stream.set_write_timeout(Some(left))?;
        Ok(stream.write_all(bytes)?)
    }
}
