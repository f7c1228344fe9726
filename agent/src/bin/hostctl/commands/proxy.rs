//! `hostctl proxy`: the other end of `--host`.
//!
//! Invariant: bytes are passed on as they are, and nothing else is written to standard output.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use agent::failure::Error;

use crate::client::Place;

pub fn proxy() -> Result<ExitCode, Error> {
    let here = Place::here()?;
    let Place::Here(path) = &here else { unreachable!("it is here") };
    let socket = UnixStream::connect(path).map_err(|error| here.unreached(&error))?;
    let mut to = socket.try_clone().map_err(|error| here.unreached(&error))?;
    // Left behind when hostd has said its last: it ends with this process.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    // Unbuffered: what hostd says is wanted now, line ends or not.
    let [_, output, _] = host_sys::file::standard();
    let mut output = std::fs::File::from(host_sys::file::duplicate(output)?);
    // Nobody is left to tell when either end is gone.
    let _ = std::io::copy(&mut &socket, &mut output);
    Ok(ExitCode::SUCCESS)
}
