//! Host names and what they mean on this host: `/etc/hosts`, DNS and whatever else nsswitch.conf(5)
//! lists, asked through getent(1), because a static program can't load the host's resolver itself.
//!
//! Invariant: a lookup is a process of its own with one pipe, so waiting for one stops nothing; it
//! is ended when it is dropped.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use host_sys::poll::{Interest, wait};

use super::private::GATEWAY;

/// The host's way to ask its resolver.
const GETENT: &str = "/usr/bin/getent";
/// Longest answer, in bytes.
pub const ANSWER: u64 = 64 * 1024;
/// How long the first answers are waited for.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why a name has no address.
#[derive(Debug)]
pub enum NameError {
    /// There is no getent(1), or it can't be started.
    Program(io::Error),
    /// The host's resolver does not know the name.
    Unknown(String),
    /// It did not answer in time.
    Slow(String),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Program(error) => {
                write!(f, "host names are looked up with {GETENT}, which can't be started: {error}")
            }
            NameError::Unknown(name) => write!(f, "this host finds no address for {name}"),
            NameError::Slow(name) => {
                let seconds = PATIENCE.as_secs();
                write!(f, "this host's resolver gave no answer for {name} in {seconds} seconds")
            }
        }
    }
}

impl std::error::Error for NameError {}

/// A question that is being asked.
#[derive(Debug)]
pub struct Lookup {
    name: String,
    child: Child,
}

impl Lookup {
    /// Ask for the addresses of a name.
    ///
    /// # Errors
    /// [`NameError::Program`].
    pub fn start(name: &str) -> Result<Lookup, NameError> {
        #[allow(clippy::disallowed_methods)] // a question to the host, not a program of an app
        let child = Command::new(GETENT)
            .args(["ahosts", "--", name])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(NameError::Program)?;
        Ok(Lookup { name: name.to_owned(), child })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Readable (poll) when the answer is there.
    pub fn source(&self) -> Option<BorrowedFd<'_>> {
        self.child.stdout.as_ref().map(AsFd::as_fd)
    }

    /// The pipe that the answer comes by, for whoever reads it in a way of their own.
    pub fn take_source(&mut self) -> Option<OwnedFd> {
        self.child.stdout.take().map(OwnedFd::from)
    }

    /// The answer, once it is there: every address, each once.
    ///
    /// # Errors
    /// [`NameError::Unknown`].
    pub fn answer(mut self) -> Result<Vec<IpAddr>, NameError> {
        let mut text = String::new();
        if let Some(output) = &mut self.child.stdout {
            // Cut or garbled, it yields fewer addresses: nothing is granted by mistake.
            let _ = output.take(ANSWER).read_to_string(&mut text);
        }
        self.understand(&text)
    }

    /// What an answer says, at most [`ANSWER`] bytes of it: every address, each once.
    ///
    /// # Errors
    /// [`NameError::Unknown`].
    pub fn understand(self, text: &str) -> Result<Vec<IpAddr>, NameError> {
        let mut addresses = addresses(text);
        addresses.sort();
        addresses.dedup();
        match addresses.is_empty() {
            true => Err(NameError::Unknown(self.name.clone())),
            false => Ok(addresses),
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first word of each line; link-local addresses are of no use without their interface.
fn addresses(text: &str) -> Vec<IpAddr> {
    text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// Look names up, all at once. `waiting` is called when it takes longer than a second.
///
/// # Errors
/// The first name without an address.
pub fn look_up(
    names: &[String],
    waiting: &mut dyn FnMut(),
) -> Result<BTreeMap<String, Vec<IpAddr>>, NameError> {
    let mut open = names.iter().map(|name| Lookup::start(name)).collect::<Result<Vec<_>, _>>()?;
    let mut found = BTreeMap::new();
    let begun = Instant::now();
    let mut patience = Duration::from_secs(1);
    while let Some(first) = open.first() {
        let left = patience.saturating_sub(begun.elapsed());
        let interests: Vec<_> = open
            .iter()
            .filter_map(|one| Some(Interest { fd: one.source()?, write: false }))
            .collect();
        let ready = wait(&interests, Some(left))
            .map_err(|errno| NameError::Program(io::Error::from_raw_os_error(errno as i32)))?;
        if let Some(index) = ready.iter().position(|ready| *ready) {
            let lookup = open.swap_remove(index);
            let name = lookup.name().to_owned();
            found.insert(name, lookup.answer()?);
        } else if patience < PATIENCE {
            patience = PATIENCE;
            waiting();
        } else {
            return Err(NameError::Slow(first.name().to_owned()));
        }
    }
    Ok(found)
}

/// The resolvers that resolv.conf(5) names; without any, one on this host is meant.
pub fn resolvers(text: &str) -> Vec<IpAddr> {
    let named: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
            address.split('%').next()?.parse().ok()
        })
        .collect();
    if named.is_empty() { vec![IpAddr::from([127, 0, 0, 1])] } else { named }
}

/// Where these resolvers are seen from a private network: those on the host's loopback device by
/// the gateway.
pub fn reached_privately(resolvers: &[IpAddr]) -> Vec<IpAddr> {
    let mut seen: Vec<IpAddr> = resolvers
        .iter()
        .map(|address| if address.is_loopback() { GATEWAY.into() } else { *address })
        .collect();
    seen.dedup();
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_this_host_is_found_and_nonsense_is_not() {
        let found = look_up(&["localhost".to_owned()], &mut || {}).unwrap();
        assert!(found["localhost"].iter().all(IpAddr::is_loopback), "{found:?}");
        let wrong = look_up(&["no-such-name.invalid".to_owned()], &mut || {});
        assert!(matches!(wrong, Err(NameError::Unknown(_) | NameError::Slow(_))), "{wrong:?}");
    }

    #[test]
    fn resolvers_are_those_of_the_file() {
        let text = "# one\nsearch example.com\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n";
        let expected: Vec<IpAddr> = ["192.0.2.1", "fe80::1"].map(|a| a.parse().unwrap()).into();
        assert_eq!(resolvers(text), expected);
        assert_eq!(resolvers(""), ["127.0.0.1".parse::<IpAddr>().unwrap()]);
    }
}
