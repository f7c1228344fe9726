//! What the inside of a sandbox and its supervisor say to each other: two closed lists.
//!
//! Invariant: a message that does not decode is an error, never guessed at. The socket carries
//! whole messages, so nothing here frames them. Both ends are hostctl's: no process of the app ever
//! holds one.
//!
//! | module | owns |
//! | --- | --- |
//! | [`report`] | what process 1 says |
//! | [`order`] | what it is told |

mod order;
mod report;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use host_sys::socket::Received;
use host_sys::{Errno, socket};

pub use order::{Arrived, Execution, Order, Streams};
pub use report::{Failure, Report};

/// One end of the conversation.
#[derive(Debug)]
pub struct Line {
    socket: OwnedFd,
}

impl Line {
    /// Both ends.
    ///
    /// # Errors
    /// What socketpair(2) says.
    pub fn pair() -> host_sys::Result<(Line, Line)> {
        let (a, b) = socket::pair()?;
        Ok((Line { socket: a }, Line { socket: b }))
    }

    /// Say something to the supervisor, waiting until it listens.
    ///
    /// # Errors
    /// `EPIPE` when it is gone.
    pub fn report(&self, report: &Report) -> host_sys::Result<()> {
        let (bytes, passed) = report.encode();
        socket::send(self.as_fd(), &bytes, passed.as_slice(), true)
    }

    /// Tell process 1 something, without waiting: it may itself wait to be heard.
    ///
    /// # Errors
    /// `EPIPE` when it is gone; `EAGAIN` when it has not taken in what it was told before;
    /// `E2BIG`, `EMSGSIZE` for more than one message carries.
    pub fn order(&self, order: &Order) -> host_sys::Result<()> {
        let (bytes, passed) = order.encode();
        if bytes.len() > order::LIMIT {
            return Err(Errno::E2BIG);
        }
        socket::send(self.as_fd(), &bytes, &passed, false)
    }

    /// The next report; `None` when the inside is gone.
    ///
    /// # Errors
    /// `EBADMSG` for anything that is not a report.
    pub fn next_report(&self) -> host_sys::Result<Option<Report>> {
        let mut buffer = [0; report::LIMIT];
        let Some(received) = socket::receive(self.as_fd(), &mut buffer, true)? else {
            return Ok(None);
        };
        let Received { length, descriptors, stripped } = received;
        let decoded = Report::decode(&buffer[..length], descriptors, stripped);
        decoded.map(Some).ok_or(Errno::EBADMSG)
    }

    /// The next order; `None` when the supervisor is gone.
    ///
    /// # Errors
    /// `EBADMSG` for anything that is not an order.
    pub fn next_order(&self) -> host_sys::Result<Option<Arrived>> {
        let mut buffer = vec![0; order::LIMIT];
        let Some(received) = socket::receive(self.as_fd(), &mut buffer, true)? else {
            return Ok(None);
        };
        let Received { length, descriptors, stripped } = received;
        let decoded = Order::decode(&buffer[..length], descriptors, stripped);
        decoded.map(Some).ok_or(Errno::EBADMSG)
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Takes a message apart from its front; every piece is there in full, or `None`.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (piece, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*piece)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn signed(&mut self) -> Option<i32> {
        self.take().map(i32::from_le_bytes)
    }

    /// Bytes behind their length.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (piece, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(piece)
    }

    fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }

    /// Several of them behind their number, which is believed only as far as they are there.
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        (0..count).map(|_| item(self)).collect()
    }

    /// All that is left.
    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// The end must be here.
    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_line_is_an_end_and_noise_an_error() {
        let (inside, outside) = Line::pair().unwrap();
        for (from, noise) in [(&inside, &b"Xnoise"[..]), (&outside, &b"Xnoise"[..])] {
            socket::send(from.as_fd(), noise, &[], true).unwrap();
        }
        assert_eq!(outside.next_report().unwrap_err(), Errno::EBADMSG);
        assert_eq!(inside.next_order().unwrap_err(), Errno::EBADMSG);
        drop(inside);
        assert!(outside.next_report().unwrap().is_none());
        assert_eq!(outside.order(&Order::Signal(15)), Err(Errno::EPIPE));
    }
}
