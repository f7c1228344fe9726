//! Network namespaces held by descriptor (network_namespaces(7)).
//!
//! Invariant: a thread that visits a namespace is back in its own when the call returns; where
//! that is impossible the process ends at once, because whatever it did next would be done to a
//! network it does not mean. Only the calling thread moves, ever.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sched::{CloneFlags, setns, unshare};

use crate::{Errno, Result};

/// Make a network namespace. It lives as long as this descriptor, a process in it, or a socket of
/// it.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN; `ENOSPC` when there are too many (namespaces(7)).
pub fn new_network() -> Result<OwnedFd> {
    let home = current_network()?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    let made = current_network();
    come_back(&home);
    made
}

/// The network namespace this thread is in.
///
/// # Errors
/// `ENOENT` where /proc is not mounted.
pub fn current_network() -> Result<OwnedFd> {
    // thread-self, not self: the main thread may be elsewhere.
    let file = File::open("/proc/thread-self/ns/net");
    file.map(OwnedFd::from).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

/// Enter a network namespace for good: for the first process of a sandbox.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN here and over the namespace; `EINVAL` for another descriptor.
pub fn enter_network(namespace: BorrowedFd<'_>) -> Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWNET)
}

/// Do something inside a network namespace: sockets made there stay there, files of /proc/sys/net
/// are that namespace's. `body` must not start threads or processes.
///
/// # Errors
/// As [`enter_network`]; then nothing was done.
pub fn visit<T>(namespace: &impl AsFd, body: impl FnOnce() -> T) -> Result<T> {
    /// Comes back even when `body` panics.
    struct Home(OwnedFd);
    impl Drop for Home {
        fn drop(&mut self) {
            come_back(&self.0);
        }
    }
    let home = Home(current_network()?);
    enter_network(namespace.as_fd())?;
    let result = body();
    drop(home);
    Ok(result)
}

fn come_back(home: &OwnedFd) {
    if let Err(errno) = enter_network(home.as_fd()) {
        let text = format!("fatal: can't return to the own network namespace: {errno}\n");
        let _ = nix::unistd::write(std::io::stderr(), text.as_bytes());
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(fd: &OwnedFd) -> (u64, u64) {
        crate::file::status(fd.as_fd()).unwrap().identity
    }

    fn here() -> (u64, u64) {
        identity(&current_network().unwrap())
    }

    #[test]
    fn a_new_namespace_is_another_and_the_thread_stays() {
        let before = here();
        let made = new_network().unwrap();
        assert_ne!(identity(&made), before);
        assert_eq!(here(), before);
        assert_eq!(visit(&made, here), Ok(identity(&made)));
        assert_eq!(here(), before);
    }

    #[test]
    fn a_panic_inside_comes_back_too() {
        let before = here();
        let made = new_network().unwrap();
        let visited = std::panic::catch_unwind(|| visit(&made, || panic!("inside")));
        assert!(visited.is_err());
        assert_eq!(here(), before);
    }

    #[test]
    fn what_is_no_namespace_is_refused() {
        let null = OwnedFd::from(File::open("/dev/null").unwrap());
        assert_eq!(visit(&null, || ()), Err(Errno::EINVAL));
    }
}
