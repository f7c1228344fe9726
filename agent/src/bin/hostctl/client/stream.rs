//! The bytes to hostd and from it: a Unix socket, or the standard streams of ssh(1).

use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::task::{Context, Poll};

use agent::failure::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

use super::place::{Machine, Place};

/// A way to hostd.
#[derive(Debug)]
pub enum Stream {
    /// Its socket.
    Socket(UnixStream),
    /// `hostctl proxy` on its machine: what it reads, what it writes.
    Piped(pipe::Sender, pipe::Receiver),
}

/// The process of ssh(1) behind a stream.
#[derive(Debug)]
pub struct Tunnel {
    child: Child,
}

impl Tunnel {
    /// How it ended, if it has: its own words are on standard error already.
    pub fn ended(&mut self) -> Option<String> {
        // The stream has ended, so it is about to.
        let status = self.child.wait().ok()?;
        Some(match status.code() {
            Some(code) => format!("ssh ended with {code}"),
            None => "ssh was ended by a signal".to_owned(),
        })
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        // One that has ended already, or is about to: its streams are closed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Open the way to a place.
pub async fn open(place: &Place) -> Result<(Stream, Option<Tunnel>), Error> {
    match place {
        Place::Here(socket) => {
            let stream = UnixStream::connect(socket).await;
            Ok((Stream::Socket(stream.map_err(|error| place.unreached(&error))?), None))
        }
        Place::There(machine) => {
            let opened = connect(machine).map_err(|error| place.unreached(&error))?;
            Ok((opened.0, Some(opened.1)))
        }
    }
}

#[allow(clippy::disallowed_methods)] // ssh is the caller's own program, run with the caller's rights
fn connect(machine: &Machine) -> std::io::Result<(Stream, Tunnel)> {
    let mut child = std::process::Command::new("ssh")
        .args(["-T", "--", machine.as_str(), "hostctl", "proxy"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let streams = (child.stdin.take(), child.stdout.take());
    let tunnel = Tunnel { child };
    let (Some(input), Some(output)) = streams else { unreachable!("both are piped") };
    Ok((Stream::Piped(sender(input)?, receiver(output)?), tunnel))
}

fn sender(input: ChildStdin) -> std::io::Result<pipe::Sender> {
    pipe::Sender::from_owned_fd(OwnedFd::from(input))
}

fn receiver(output: ChildStdout) -> std::io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(OwnedFd::from(output))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Stream::Socket(socket) => Pin::new(socket).poll_read(context, buffer),
            Stream::Piped(_, output) => Pin::new(output).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Stream::Socket(socket) => Pin::new(socket).poll_write(context, bytes),
            Stream::Piped(input, _) => Pin::new(input).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Stream::Socket(socket) => Pin::new(socket).poll_flush(context),
            Stream::Piped(input, _) => Pin::new(input).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Stream::Socket(socket) => Pin::new(socket).poll_shutdown(context),
            Stream::Piped(input, _) => Pin::new(input).poll_shutdown(context),
        }
    }
}
