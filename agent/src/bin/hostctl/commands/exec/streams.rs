//! Our own standard streams, each in a thread: a file, a pipe and a terminal can all be read and
//! written by one, and only by one without changing how they behave for others.
//!
//! Invariant: bounded; who is slow holds up the other side, and nothing else.

use std::os::fd::BorrowedFd;

use host_sys::{Errno, file, poll};
use manifest_spec::api::Frame;
use tokio::sync::{mpsc, oneshot};

/// Bytes read at once.
const CHUNK: usize = 32 * 1024;

/// Chunks that wait for a slow reader.
const WAITING: usize = 8;

/// Standard input as frames, until it ends or nobody wants them.
pub fn input() -> mpsc::Receiver<Frame> {
    let (sender, receiver) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        let [input, ..] = file::standard();
        let mut buffer = vec![0; CHUNK];
        loop {
            let frame = match read(input, &mut buffer) {
                Ok(length @ 1..) => Frame::Stdin(buffer[..length].to_vec()),
                // A terminal whose other side is gone has no more to say than a closed pipe.
                Ok(0) | Err(_) => Frame::CloseStdin,
            };
            let last = frame == Frame::CloseStdin;
            if sender.blocking_send(frame).is_err() || last {
                return;
            }
        }
    });
    receiver
}

/// A standard output that takes bytes.
#[derive(Debug)]
pub struct Output {
    bytes: mpsc::Sender<Vec<u8>>,
    written: oneshot::Receiver<()>,
}

impl Output {
    /// Standard output (1) or standard error (2).
    pub fn new(number: usize) -> Output {
        let (bytes, mut waiting) = mpsc::channel::<Vec<u8>>(WAITING);
        let (done, written) = oneshot::channel();
        std::thread::spawn(move || {
            let fd = file::standard()[number];
            while let Some(bytes) = waiting.blocking_recv() {
                if write(fd, &bytes).is_err() {
                    break;
                }
            }
            // Nobody waits for it when the command was given up.
            let _ = done.send(());
        });
        Output { bytes, written }
    }

    /// Take bytes, as soon as there is room; `false` when nobody reads them any more.
    pub async fn put(&self, bytes: Vec<u8>) -> bool {
        self.bytes.send(bytes).await.is_ok()
    }

    /// Until everything is written.
    pub async fn finish(self) {
        drop(self.bytes);
        let _ = self.written.await;
    }
}

fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> host_sys::Result<usize> {
    loop {
        match file::read(fd, buffer) {
            Err(Errno::EINTR) => {}
            // Somebody else made it non-blocking.
            Err(Errno::EAGAIN) => drop(poll::wait(&[poll::Interest { fd, write: false }], None)?),
            result => return result,
        }
    }
}

fn write(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> host_sys::Result<()> {
    while !bytes.is_empty() {
        match file::write(fd, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => drop(poll::wait(&[poll::Interest { fd, write: true }], None)?),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
