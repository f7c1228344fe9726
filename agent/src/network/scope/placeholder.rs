//! The process that a scope begins with. systemd makes none without, and hostctl itself must stay
//! where its terminal's session or its service put it.
//!
//! Invariant: it ends when it is dropped, and with the hostctl that started it, however that ends.
//! It runs no program and touches nothing.

use std::os::fd::AsFd;

use host_sys::Result;
use host_sys::poll::{Interest, wait};
use host_sys::process::{self, Child, Namespaces};
use host_sys::signal::number;

/// A child that waits for its end.
#[derive(Debug)]
pub struct Placeholder(Child);

impl Placeholder {
    /// Start one.
    ///
    /// # Errors
    /// What [`process::spawn`] says.
    pub fn start() -> Result<Placeholder> {
        // Taken before the child exists: a number could be another's by the time the child asks.
        let parent = process::hold(process::pid())?;
        let child = process::spawn(Namespaces::default(), || {
            let _ = process::set_name(c"hostctl-scope");
            let _ = process::die_with_parent();
            // Returns when the parent has ended, should that have been before the line above.
            let ended = [Interest { fd: parent.as_fd(), write: false }];
            while matches!(wait(&ended, None).as_deref(), Ok([false])) {}
            0
        })?;
        Ok(Placeholder(child))
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.0.pid
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        // It can only have ended already, or end now; there is nothing to do about either.
        let _ = self.0.signal(number::KILL);
        let _ = self.0.wait();
    }
}
