//! A stream that nobody answers on, and how to know all the same what the other side has.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use host_sys::Errno;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::super::Answer;
use super::super::reach::{self, Patience};

/// Longest pause between two looks at what the other side does not have yet.
const SLOWEST: Duration = Duration::from_millis(50);
/// Times that the other side is listened to at once: it has nothing to say.
const LISTENING: usize = 16;

/// A connected stream.
#[derive(Debug)]
pub(super) struct Stream<S> {
    stream: S,
    patience: Patience,
}

impl<S: AsFd + AsyncWrite + Unpin> Stream<S> {
    pub(super) fn new(stream: S, patience: Patience) -> Self {
        Stream { stream, patience }
    }

    /// Write `bytes`, which hold so many records, and wait until the other side has them.
    pub(super) async fn deliver(&mut self, bytes: &[u8], records: usize) -> Answer {
        match self.hand_over(bytes).await {
            Ok(()) => Answer::taken(records),
            Err(error) => Answer::failed(reach::words(&error)),
        }
    }

    async fn hand_over(&mut self, bytes: &[u8]) -> io::Result<()> {
        let nothing = || io::Error::other("it takes nothing");
        // What is heard now is about the time since the last batch.
        self.listen()?;
        let mut written = 0;
        while written < bytes.len() {
            let taken = timeout(self.patience.answer, self.stream.write(&bytes[written..]));
            written += match taken.await.map_err(|_| nothing())?? {
                0 => return Err(nothing()),
                count => count,
            };
        }
        let (mut pause, mut before) = (Duration::from_micros(200), usize::MAX);
        let mut end = Instant::now() + self.patience.answer;
        loop {
            // In this order: whoever closes with bytes unread has thrown them away, and says so.
            let left = host_sys::socket::unsent(self.stream.as_fd())?;
            self.listen()?;
            match left {
                0 => return Ok(()),
                left if left < before => end = Instant::now() + self.patience.answer,
                _ if Instant::now() >= end => return Err(nothing()),
                _ => {}
            }
            before = left;
            sleep(pause).await;
            pause = (pause * 2).min(SLOWEST);
        }
    }

    /// Whether the connection stands. What the other side says is thrown away: syslog has no answers.
    /// The socket itself is asked, since the runtime may not have heard of it yet.
    fn listen(&self) -> io::Result<()> {
        let mut heard = [0; 1024];
        for _ in 0..LISTENING {
            match host_sys::file::read(self.stream.as_fd(), &mut heard) {
                // It has nothing to say, as some make sure. Whether it has gone away is another
                // matter: who writes to one that has is told so.
                Ok(0) => return Ok(()),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}
