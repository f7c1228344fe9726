//! What the inside of a sandbox and its supervisor say to each other: two closed lists.
//!
//! Invariant: a message that does not decode is an error, never guessed at. The socket carries
//! whole messages, so nothing here frames them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use host_sys::process::{self, Exit};
use host_sys::{Errno, socket};

/// Longest message; a longer detail is cut.
const LIMIT: usize = 4096;

/// From inside to the supervisor.
#[derive(Debug)]
pub enum Report {
    /// A step failed and nothing was started.
    Failed(Failure),
    /// The other side of the program's terminal.
    Terminal(OwnedFd),
    /// The program is about to replace process 2: every wall stands.
    Ready,
    /// A thread made a system call that the filter refuses and was sent SIGSYS.
    Denied {
        /// The call's number.
        call: i32,
    },
    /// The program ended; what it left behind is being ended too.
    Ended(Exit),
}

/// A step that could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Index of the step in its list.
    pub step: u16,
    /// What the kernel said; `None` when the cause is not a kernel error.
    pub errno: Option<Errno>,
    /// More about the object; may be empty.
    pub detail: String,
}

/// From the supervisor to process 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Send this signal to the program.
    Signal(i32),
}

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

    /// The same line by a descriptor above the first `count` that a program can be passed.
    ///
    /// # Errors
    /// `EMFILE` at the limit of open files.
    pub fn above(&self, count: usize) -> host_sys::Result<Line> {
        let lowest = process::FIRST_PASSED + count as i32;
        Ok(Line { socket: process::lift(self.socket.as_fd(), lowest)? })
    }

    /// Say something to the supervisor.
    ///
    /// # Errors
    /// `EPIPE` when it is gone.
    pub fn report(&self, report: &Report) -> host_sys::Result<()> {
        let mut bytes = Vec::with_capacity(64);
        let mut passed = None;
        match report {
            Report::Failed(failure) => {
                bytes.push(b'F');
                bytes.extend(failure.step.to_le_bytes());
                bytes.extend(failure.errno.map_or(0, |errno| errno as i32).to_le_bytes());
                bytes.extend(failure.detail.as_bytes());
                bytes.truncate(LIMIT);
            }
            Report::Terminal(fd) => {
                bytes.push(b'T');
                passed = Some(fd.as_fd());
            }
            Report::Ready => bytes.push(b'R'),
            Report::Denied { call } => {
                bytes.push(b'D');
                bytes.extend(call.to_le_bytes());
            }
            Report::Ended(exit) => {
                let (kind, value, core) = match exit {
                    Exit::Code(code) => (b'c', i32::from(*code), false),
                    Exit::Signal(signal, core) => (b's', *signal, *core),
                };
                bytes.extend([b'E', kind, u8::from(core)]);
                bytes.extend(value.to_le_bytes());
            }
        }
        socket::send(self.socket.as_fd(), &bytes, passed)
    }

    /// Tell process 1 something.
    ///
    /// # Errors
    /// `EPIPE` when it is gone.
    pub fn order(&self, order: Order) -> host_sys::Result<()> {
        let Order::Signal(signal) = order;
        socket::send(self.socket.as_fd(), &signal.to_le_bytes(), None)
    }

    /// The next report; `None` when the inside is gone.
    ///
    /// # Errors
    /// `EBADMSG` for anything that is not a report.
    pub fn next_report(&self) -> host_sys::Result<Option<Report>> {
        let mut buffer = [0; LIMIT];
        let Some((length, fd)) = socket::receive(self.socket.as_fd(), &mut buffer, true)? else {
            return Ok(None);
        };
        decode(&buffer[..length], fd).map(Some).ok_or(Errno::EBADMSG)
    }

    /// The next order; `None` when the supervisor is gone.
    ///
    /// # Errors
    /// `EBADMSG` for anything that is not an order.
    pub fn next_order(&self) -> host_sys::Result<Option<Order>> {
        let mut buffer = [0; 4];
        match socket::receive(self.socket.as_fd(), &mut buffer, true)? {
            None => Ok(None),
            Some((4, None)) => Ok(Some(Order::Signal(i32::from_le_bytes(buffer)))),
            Some(_) => Err(Errno::EBADMSG),
        }
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn decode(bytes: &[u8], fd: Option<OwnedFd>) -> Option<Report> {
    let (tag, rest) = bytes.split_first()?;
    match (tag, fd) {
        (b'F', None) => {
            let (step, rest) = rest.split_first_chunk()?;
            let (errno, detail) = rest.split_first_chunk()?;
            let errno = i32::from_le_bytes(*errno);
            Some(Report::Failed(Failure {
                step: u16::from_le_bytes(*step),
                errno: (errno != 0).then(|| Errno::from_raw(errno)),
                detail: String::from_utf8_lossy(detail).into_owned(),
            }))
        }
        (b'T', Some(fd)) => Some(Report::Terminal(fd)),
        (b'R', None) => Some(Report::Ready),
        (b'D', None) => Some(Report::Denied { call: i32::from_le_bytes(rest.try_into().ok()?) }),
        (b'E', None) => {
            let ([kind, core], value) = rest.split_first_chunk()?;
            let value = i32::from_le_bytes(value.try_into().ok()?);
            match kind {
                b'c' => Some(Report::Ended(Exit::Code(u8::try_from(value).ok()?))),
                b's' => Some(Report::Ended(Exit::Signal(value, *core != 0))),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(report: &Report) -> Report {
        let (inside, outside) = Line::pair().unwrap();
        inside.report(report).unwrap();
        outside.next_report().unwrap().unwrap()
    }

    #[test]
    fn reports_survive_the_socket() {
        let failure = Failure { step: 7, errno: Some(Errno::ENOENT), detail: "/srv/ä".to_owned() };
        assert!(
            matches!(round_trip(&Report::Failed(failure.clone())), Report::Failed(f) if f == failure)
        );
        assert!(matches!(round_trip(&Report::Ready), Report::Ready));
        assert!(matches!(round_trip(&Report::Denied { call: 165 }), Report::Denied { call: 165 }));
        for exit in [Exit::Code(255), Exit::Signal(64, true)] {
            assert!(matches!(round_trip(&Report::Ended(exit)), Report::Ended(e) if e == exit));
        }
        let (fd, _) = socket::pair().unwrap();
        assert!(matches!(round_trip(&Report::Terminal(fd)), Report::Terminal(_)));
    }

    #[test]
    fn a_closed_line_is_an_end_and_noise_an_error() {
        let (inside, outside) = Line::pair().unwrap();
        socket::send(inside.as_fd(), b"Xnoise", None).unwrap();
        assert_eq!(outside.next_report().unwrap_err(), Errno::EBADMSG);
        drop(inside);
        assert!(outside.next_report().unwrap().is_none());
        assert_eq!(outside.order(Order::Signal(15)), Err(Errno::EPIPE));
    }
}
