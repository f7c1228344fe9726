//! The process that a scope begins with. systemd makes none without, and hostctl itself must stay
//! where its terminal's session or its service put it.
//!
//! Invariant: it ends when it is dropped, and after the hostctl that started it, however that
//! ended: at once if it is in the scope; else when it is, or when systemd has had its time. It
//! never ends while systemd may still be about to move it: a process that ended but was not waited
//! for is taken into a scope that then is empty from the start, so that no end of anything makes
//! systemd remove it. It runs no program, touches nothing, and keeps nothing open of its parent's.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use host_sys::poll::{Interest, wait};
use host_sys::process::{self, Child, Namespaces};
use host_sys::signal::{Signals, number};
use host_sys::{Result, file};

use super::{PATIENCE, place};

/// How often it looks where it is, once hostctl has ended.
const PAUSE: Duration = Duration::from_millis(10);

/// A child that waits for its end.
#[derive(Debug)]
pub struct Placeholder(Child);

impl Placeholder {
    /// Start one, for this unit.
    ///
    /// # Errors
    /// What [`process::spawn`] says.
    pub fn start(unit: &str) -> Result<Placeholder> {
        // Taken before the child exists: a number could be another's by the time the child asks.
        let parent = process::hold(process::pid())?;
        let null = file::open_null()?;
        let child = process::spawn(Namespaces::default(), None, || {
            let _ = process::set_name(c"hostctl-scope");
            // What ends hostctl by a key or by its service's end must not end both at once.
            let _ = process::new_session();
            // Nor may who reads what hostctl writes wait for this one's end.
            for number in 0..3 {
                let _ = process::set_standard(number, null.as_fd());
            }
            let _ = process::keep_only(&[parent.as_fd()]);
            let _signals = Signals::block(&[number::HUP, number::INT, number::QUIT, number::TERM]);
            let ended = [Interest { fd: parent.as_fd(), write: false }];
            while matches!(wait(&ended, None).as_deref(), Ok([false])) {}
            let end = Instant::now() + PATIENCE;
            while !is_in(unit) && Instant::now() < end {
                let _ = wait(&[], Some(PAUSE));
            }
            0
        })?;
        Ok(Placeholder(child))
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.0.pid
    }

    /// Let it end by itself after this process has: what systemd will do with it is not known.
    pub fn leave(self) {
        std::mem::forget(self);
    }
}

/// Whether this process's cgroup is that of the unit, or the folder below it for who steps aside.
fn is_in(unit: &str) -> bool {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    place::cgroup(&text).is_some_and(|cgroup| Path::new(cgroup).iter().any(|part| part == unit))
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        // It can only have ended already, or end now; there is nothing to do about either.
        let _ = self.0.signal(number::KILL);
        let _ = self.0.wait();
    }
}
