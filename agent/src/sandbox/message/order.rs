//! What process 1 is told, as bytes and back.
//!
//! Invariant: [`Order::decode`] takes exactly what [`Order::encode`] makes; no length in a message
//! is believed before that much is there.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use host_sys::terminal::Size;

use super::Reader;

/// Longest order: what a command's words and environment may come to.
pub(super) const LIMIT: usize = 128 * 1024;

/// From the supervisor to process 1.
#[derive(Debug)]
pub enum Order {
    /// Send this signal to the program.
    Signal(i32),
    /// Start a command beside it.
    Execute(Execution),
    /// Send this signal to the process group that a command leads, if it still runs.
    SignalExecution {
        /// The command.
        id: u32,
        /// Its number.
        signal: i32,
    },
}

/// A command to be started inside a running sandbox.
#[derive(Debug)]
pub struct Execution {
    /// What it is called from here on; of those that run, no other has the same.
    pub id: u32,
    /// Program and arguments. A program without a slash is looked for along the environment's PATH.
    pub arguments: Vec<String>,
    /// The whole environment.
    pub environment: Vec<(String, String)>,
    /// Working directory.
    pub directory: PathBuf,
    /// What it reads from and writes to.
    pub streams: Streams,
}

/// The standard streams of a command.
#[derive(Debug)]
pub enum Streams {
    /// These: its input, output and error.
    Passed([OwnedFd; 3]),
    /// A terminal of the sandbox's own, of this size; its other side is reported.
    Terminal(Size),
}

/// An order as it arrived.
#[derive(Debug)]
pub enum Arrived {
    /// As it was sent.
    Whole(Order),
    /// A command without its streams, for which this process has no descriptors left.
    Stripped {
        /// The command.
        id: u32,
    },
}

impl Order {
    pub(super) fn encode(&self) -> (Vec<u8>, Vec<BorrowedFd<'_>>) {
        let mut bytes = Vec::new();
        match self {
            Order::Signal(signal) => {
                bytes.push(b'S');
                bytes.extend(signal.to_le_bytes());
                (bytes, Vec::new())
            }
            Order::SignalExecution { id, signal } => {
                bytes.push(b'K');
                bytes.extend(id.to_le_bytes());
                bytes.extend(signal.to_le_bytes());
                (bytes, Vec::new())
            }
            Order::Execute(execution) => {
                bytes.push(b'X');
                let passed = execution.encode(&mut bytes);
                (bytes, passed)
            }
        }
    }

    pub(super) fn decode(
        bytes: &[u8],
        descriptors: Vec<OwnedFd>,
        stripped: bool,
    ) -> Option<Arrived> {
        let mut bytes = Reader(bytes);
        let (tag, beside) = (bytes.byte()?, stripped || !descriptors.is_empty());
        let arrived = match (tag, beside) {
            (b'S', false) => Arrived::Whole(Order::Signal(bytes.signed()?)),
            (b'K', false) => {
                let (id, signal) = (bytes.number()?, bytes.signed()?);
                Arrived::Whole(Order::SignalExecution { id, signal })
            }
            (b'X', true) if stripped => return Some(Arrived::Stripped { id: bytes.number()? }),
            (b'X', _) => {
                Arrived::Whole(Order::Execute(Execution::decode(&mut bytes, descriptors)?))
            }
            _ => return None,
        };
        bytes.end()?;
        Some(arrived)
    }
}

impl Execution {
    fn encode(&self, bytes: &mut Vec<u8>) -> Vec<BorrowedFd<'_>> {
        bytes.extend(self.id.to_le_bytes());
        let passed = match &self.streams {
            Streams::Passed(streams) => {
                bytes.push(b'p');
                streams.iter().map(AsFd::as_fd).collect()
            }
            Streams::Terminal(size) => {
                bytes.push(b't');
                bytes.extend(size.rows().to_le_bytes());
                bytes.extend(size.columns().to_le_bytes());
                Vec::new()
            }
        };
        put(bytes, self.directory.as_os_str().as_bytes());
        bytes.extend((self.arguments.len() as u32).to_le_bytes());
        for word in &self.arguments {
            put(bytes, word.as_bytes());
        }
        bytes.extend((self.environment.len() as u32).to_le_bytes());
        for (name, value) in &self.environment {
            put(bytes, name.as_bytes());
            put(bytes, value.as_bytes());
        }
        passed
    }

    fn decode(bytes: &mut Reader<'_>, descriptors: Vec<OwnedFd>) -> Option<Execution> {
        let id = bytes.number()?;
        let streams = match bytes.byte()? {
            b'p' => Streams::Passed(descriptors.try_into().ok()?),
            b't' if descriptors.is_empty() => {
                Streams::Terminal(Size::new(bytes.short()?, bytes.short()?))
            }
            _ => return None,
        };
        let directory = PathBuf::from(OsString::from_vec(bytes.bytes()?.to_vec()));
        let arguments = bytes.list(Reader::text)?;
        let environment = bytes.list(|bytes| Some((bytes.text()?, bytes.text()?)))?;
        Some(Execution { id, arguments, environment, directory, streams })
    }
}

/// Bytes behind their length; longer ones than that can say make the order too long to be sent.
fn put(bytes: &mut Vec<u8>, piece: &[u8]) {
    bytes.extend((piece.len() as u32).to_le_bytes());
    bytes.extend(piece);
}

#[cfg(test)]
mod tests {
    use host_sys::{Errno, file, socket};

    use super::super::Line;
    use super::*;

    fn execution(streams: Streams) -> Order {
        Order::Execute(Execution {
            id: u32::MAX,
            arguments: ["sh", "-c", "echo ä; exit 7", ""].map(str::to_owned).into(),
            environment: vec![("PATH".into(), "/usr/bin".into()), ("EMPTY".into(), String::new())],
            directory: PathBuf::from(OsString::from_vec(b"/srv/\xff".to_vec())),
            streams,
        })
    }

    fn null() -> OwnedFd {
        file::open_null().unwrap()
    }

    fn passed() -> Streams {
        Streams::Passed([null(), null(), null()])
    }

    fn all() -> Vec<Order> {
        let terminal = Streams::Terminal(Size::new(24, 80));
        let signals = [Order::Signal(15), Order::SignalExecution { id: 1, signal: 9 }];
        signals.into_iter().chain([execution(passed()), execution(terminal)]).collect()
    }

    /// Descriptors have other numbers on each side.
    fn shown(order: &Order) -> String {
        let text = format!("{order:?}");
        text.split("fd: ").map(|part| part.trim_start_matches(|c: char| c.is_numeric())).collect()
    }

    #[test]
    fn orders_survive_the_socket() {
        let (inside, outside) = Line::pair().unwrap();
        for order in all() {
            outside.order(&order).unwrap();
            let Arrived::Whole(arrived) = inside.next_order().unwrap().unwrap() else {
                panic!("{order:?}")
            };
            assert_eq!(shown(&arrived), shown(&order));
        }
    }

    #[test]
    fn the_longest_order_fits_and_a_longer_one_is_refused() {
        let (inside, outside) = Line::pair().unwrap();
        let of_length = |length| {
            let mut order = execution(passed());
            if let Order::Execute(execution) = &mut order {
                execution.arguments[3] = "x".repeat(length);
            }
            order
        };
        let overhead = execution(passed()).encode().0.len();
        outside.order(&of_length(LIMIT - overhead)).unwrap();
        assert!(matches!(inside.next_order(), Ok(Some(Arrived::Whole(Order::Execute(_))))));
        assert_eq!(outside.order(&of_length(LIMIT - overhead + 1)), Err(Errno::E2BIG));
    }

    #[test]
    fn an_order_that_is_torn_or_has_more_or_fewer_descriptors_is_none() {
        for order in all() {
            let (bytes, passed) = order.encode();
            let beside = |count| (0..count).map(|_| null()).collect::<Vec<_>>();
            let count = passed.len();
            assert!(Order::decode(&bytes, beside(count), false).is_some(), "{order:?}");
            for other in (0..5).filter(|other| *other != count) {
                assert!(Order::decode(&bytes, beside(other), false).is_none(), "{order:?}");
            }
            for length in 0..bytes.len() {
                let torn = Order::decode(&bytes[..length], beside(count), false);
                assert!(torn.is_none(), "{order:?}");
            }
            let longer = [&bytes[..], b"x"].concat();
            assert!(Order::decode(&longer, beside(count), false).is_none(), "{order:?}");
        }
    }

    #[test]
    fn lengths_beyond_the_message_are_not_believed() {
        let (bytes, _) = execution(Streams::Terminal(Size::new(1, 1))).encode();
        for at in 0..bytes.len() - 4 {
            let mut wrong = bytes.clone();
            wrong[at..at + 4].fill(0xff);
            // Whatever it is taken for, no memory is reserved for four milliards of words.
            let _ = Order::decode(&wrong, Vec::new(), false);
        }
        let (_, first) = bytes.split_at(10);
        assert!(Order::decode(first, Vec::new(), false).is_none());
    }

    #[test]
    fn a_command_whose_streams_were_not_received_is_known_by_its_number() {
        let (inside, outside) = Line::pair().unwrap();
        let (bytes, _) = execution(passed()).encode();
        let many = null();
        socket::send(outside.as_fd(), &bytes, &[many.as_fd(); 4], true).unwrap();
        let arrived = inside.next_order().unwrap().unwrap();
        assert!(matches!(arrived, Arrived::Stripped { id: u32::MAX }), "{arrived:?}");
    }
}
