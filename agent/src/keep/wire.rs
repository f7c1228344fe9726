//! What hostd and a keeper say to each other: two closed lists, one JSON message each, with
//! descriptors on board where a variant says so.
//!
//! Invariant: a message that does not decode is an error, never guessed at; nobody waits for the
//! other: what the other does not take is dropped with the connection, and the folder still tells.

use std::collections::BTreeMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

use host_sys::terminal::Size;
use host_sys::{Errno, socket};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::assignment::HandedSocket;
use super::status::{Ending, Status};

/// Longest message: below the default buffer of a Unix socket (net.core.wmem_default).
pub const LIMIT: usize = 128 * 1024;

/// A terminal's size in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cells {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

impl From<Cells> for Size {
    fn from(cells: Cells) -> Size {
        Size::new(cells.rows, cells.columns)
    }
}

/// A command to run inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Chosen by whoever asks; names it in what is said of it later.
    pub id: u32,
    /// The program and its arguments.
    pub arguments: Vec<String>,
    /// Variables on top of the app's own.
    pub environment: BTreeMap<String, String>,
    /// Its working directory; the app's if there is none.
    pub directory: Option<PathBuf>,
    /// A terminal of this size; without one, three descriptors come along.
    pub terminal: Option<Cells>,
}

/// From hostd to a keeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// End the instance: its stop signal, its grace, then force.
    Stop,
    /// End it by force.
    Kill,
    /// Send the program a signal.
    Signal(i32),
    /// Run a command inside; with three descriptors unless it gets a terminal.
    Execute(Command),
    /// Send a command's process group a signal.
    SignalCommand {
        /// Which.
        id: u32,
        /// The signal's number.
        signal: i32,
    },
    /// Say [`News::Tail`].
    Tail,
    /// Pass the sockets that further instances can share: [`News::Socket`] for each.
    Sockets,
}

/// From a keeper to hostd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// How things stand: the first message of a connection, and after every change.
    Status(Box<Status>),
    /// The last lines that the program wrote.
    Tail(Vec<String>),
    /// One of its sockets, a descriptor.
    Socket(HandedSocket),
    /// The program was refused a system call, by name or number.
    Denied(String),
    /// The other side of a command's terminal, one descriptor.
    Terminal(u32),
    /// A command has ended.
    Executed {
        /// Which.
        id: u32,
        /// How.
        ending: Ending,
    },
    /// A command could not be started: why.
    NotExecuted {
        /// Which.
        id: u32,
        /// In words.
        message: String,
        /// 127 if there is no such program, else 126.
        code: u8,
    },
}

/// Send a message.
///
/// # Errors
/// `EMSGSIZE` for one that is too long, `EAGAIN` when there is no room, `EPIPE` when nobody is there.
pub fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> host_sys::Result<()> {
    let bytes = serde_json::to_vec(message).map_err(|_| Errno::EINVAL)?;
    if bytes.len() > LIMIT {
        return Err(Errno::EMSGSIZE);
    }
    socket::send(socket, &bytes, fds, false)
}

/// The next message and what came with it; `None` when the other side is closed.
///
/// # Errors
/// `EAGAIN` when there is none; `EBADMSG` for anything that is no message.
pub fn receive<T: DeserializeOwned>(
    socket: BorrowedFd<'_>,
) -> host_sys::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut buffer = vec![0; LIMIT];
    let Some(received) = socket::receive(socket, &mut buffer, false)? else { return Ok(None) };
    if received.stripped {
        return Err(Errno::EBADMSG);
    }
    let message = serde_json::from_slice(&buffer[..received.length]).map_err(|_| Errno::EBADMSG)?;
    Ok(Some((message, received.descriptors)))
}
