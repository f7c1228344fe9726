//! The host's journal as a sink, spoken to in its native protocol.
//!
//! Invariant: a record is taken when the journal's socket has taken its message. One that is too
//! large for a datagram goes as a sealed file in memory. The journal can't tell a record that it
//! gets twice: after a kill, those of one batch at most.

pub mod entry;

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use host_sys::Errno;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use super::reach::{self, Patience};
use super::{Answer, Verdict};
use crate::logs::route::batch::Part;

/// Where the journal takes messages.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// The journal.
#[derive(Debug)]
pub struct JournalSink {
    path: PathBuf,
    patience: Patience,
    socket: Option<UnixDatagram>,
}

impl JournalSink {
    /// The journal at this socket. Touches nothing.
    pub fn new(path: &Path, patience: Patience) -> JournalSink {
        JournalSink { path: path.to_owned(), patience, socket: None }
    }

    /// Send records.
    pub async fn deliver(&mut self, part: &Part<'_>) -> Answer {
        for (taken, message) in part.each().enumerate() {
            let sent = match self.socket.take() {
                Some(socket) => Ok(socket),
                None => self.connect(),
            };
            let sent = match sent {
                Ok(socket) => send(&socket, message, self.patience).await.map(|()| socket),
                Err(error) => Err(error),
            };
            match sent {
                Ok(socket) => self.socket = Some(socket),
                Err(error) => return self.refusal(&error).after(taken),
            }
        }
        Answer::taken(part.count())
    }

    fn connect(&self) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.path)?;
        Ok(socket)
    }

    fn refusal(&self, error: &io::Error) -> Answer {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT) => Answer::failed(format!(
                "there is no journal on this host: {} is missing",
                self.path.display()
            )),
            Some(Errno::ECONNREFUSED) => Answer::failed("the journal does not run"),
            Some(Errno::EMSGSIZE) => {
                Answer::none(Verdict::TooLarge, "the journal takes no message of this size")
            }
            _ => Answer::failed(format!("the journal: {}", reach::words(error))),
        }
    }
}

/// Send one message, as soon as there is room for it.
async fn send(socket: &UnixDatagram, message: &[u8], patience: Patience) -> io::Result<()> {
    let full = || io::Error::other("its queue stays full");
    let sent = timeout(patience.answer, socket.send(message)).await.unwrap_or_else(|_| Err(full()));
    let Err(error) = sent else { return Ok(()) };
    if !matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMSGSIZE | Errno::ENOBUFS))
    {
        return Err(error);
    }
    let file = host_sys::file::sealed(c"hostctl-record", message)?;
    let passed = socket.async_io(Interest::WRITABLE, || {
        host_sys::socket::send(socket.as_fd(), &[], &[file.as_fd()], false).map_err(io::Error::from)
    });
    timeout(patience.answer, passed).await.unwrap_or_else(|_| Err(full()))
}
