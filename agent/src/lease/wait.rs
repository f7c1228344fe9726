//! Waiting for those who are in the way.
//!
//! Invariant: who waits learns nothing but that it is time to ask again; the ledger alone says what
//! is free.

use std::os::fd::AsFd;
use std::time::Duration;

use host_sys::Errno;
use host_sys::poll::{self, Interest};
use host_sys::process;

use super::conflict::Refusal;
use super::holder::Process;

/// Time after which a waiter asks again, though nobody it waits for has ended: a lease can also be
/// given back by hand.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The same, for holders that can't be waited for.
const ASK_SOON: Duration = Duration::from_millis(100);

/// Sleep until one that is in the way has ended, or it is time to ask again.
///
/// # Errors
/// What poll(2) says.
pub fn for_change(refusal: &Refusal) -> Result<(), Errno> {
    let awaited = refusal.awaited();
    let mut held = Vec::new();
    for process in awaited.iter().flatten() {
        // Held first, looked at then: the number could have been given anew in between.
        let Ok(pidfd) = process::hold(process.pid) else { continue };
        if Process::of(process.pid) == Some(*process) {
            held.push(pidfd);
        }
    }
    let patience = if held.len() == awaited.len() { ASK_AGAIN } else { ASK_SOON };
    let interests: Vec<_> =
        held.iter().map(|pidfd| Interest { fd: pidfd.as_fd(), write: false }).collect();
    poll::wait(&interests, Some(patience)).map(|_| ())
}
