//! `hostctl proxy`: the other end of `--host`.
//!
//! Invariant: bytes are passed on as they are, and nothing else is written to standard output.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use agent::failure::Error;

use crate::client::Place;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

pub fn proxy() -> Result<ExitCode, Error> {
    let here = Place::here()?;
    let Place::Here(path) = &here else { unreachable!("it is here") };
    let socket = UnixStream::connect(path).map_err(|error| here.unreached(&error))?;
    let mut to = socket.try_clone().map_err(|error| here.unreached(&error))?;
    let [input, output, _] = host_sys::file::standard();
    let (mut input, mut output) = (owned(input)?, owned(output)?);
    // Left behind when hostd has said its last: it ends with this process.
    std::thread::spawn(move || {
        pass(&mut input, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    pass(&mut &socket, &mut output);
    Ok(ExitCode::SUCCESS)
}

/// A standard stream without the buffer that std::io puts before it: what hostd says is wanted now,
/// line ends or not.
fn owned(stream: BorrowedFd<'_>) -> Result<File, Error> {
    Ok(File::from(host_sys::file::duplicate(stream)?))
}

/// Pass bytes on until there are no more. std::io::copy would splice(2), and a reader that waits for
/// an edge of its pipe with epoll(7) was seen to sleep on then.
fn pass(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Nobody is left to tell when either end is gone.
            Ok(0) | Err(_) => return,
            Ok(length) if to.write_all(&buffer[..length]).is_err() => return,
            Ok(_) => {}
        }
    }
}
