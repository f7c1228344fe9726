//! Who holds a lease, and whether it still lives.
//!
//! Invariant: a process is named by number, start time and pid namespace within one boot, which no
//! other process ever shares; so what counts as dead is dead. No timeout decides anything.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

/// A process, beyond the reuse of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since boot (field 22 of proc_pid_stat(5)).
    pub started: u64,
    /// Inode of the pid namespace that the number belongs to.
    pub namespace: u64,
}

impl Process {
    /// The process with this number as it is now; `None` if there is none, or it has ended and
    /// only waits to be waited for.
    pub fn of(pid: i32) -> Option<Process> {
        Some(Process { pid, started: stat(pid)?.started, namespace: namespace()? })
    }

    /// Whether it still runs. Of another pid namespace nothing can be known from here: it counts
    /// as alive.
    pub fn is_alive(&self) -> bool {
        namespace() != Some(self.namespace)
            || stat(self.pid).is_some_and(|found| found.started == self.started)
    }
}

/// The one who asks for leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// App, offset included; for a lock, the command.
    pub app: String,
    /// Service; empty for a lock.
    pub service: String,
    /// Instance, from 1; 0 for a lock, and for what a service has for all of them.
    pub instance: u32,
    /// The hostctl that asked.
    pub process: Process,
}

impl Holder {
    /// `shop.web.1`, or `shop.web` for the service; for a lock, the command's name.
    pub fn name(&self) -> String {
        match (self.service.as_str(), self.instance) {
            ("", _) => self.app.clone(),
            (service, 0) => format!("{}.{service}", self.app),
            (service, instance) => format!("{}.{service}.{instance}", self.app),
        }
    }

    /// Whether it is the same one but for the process.
    pub fn is_like(&self, other: &Holder) -> bool {
        Holder { process: other.process, ..self.clone() } == *other
    }
}

/// The id of this boot; it changes whenever the host starts anew (random(4)).
///
/// # Errors
/// When /proc is not there.
pub fn boot_id() -> std::io::Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned())
}

/// The parent of a process; `None` when there is none.
pub fn parent(pid: i32) -> Option<i32> {
    stat(pid).map(|stat| stat.parent).filter(|parent| *parent > 0)
}

struct Stat {
    parent: i32,
    started: u64,
}

/// What proc_pid_stat(5) says of a process that still runs.
fn stat(pid: i32) -> Option<Stat> {
    // One read: the kernel makes the whole line for each, and this is asked of every holder.
    let mut line = [0; 2048];
    let length = fs::File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut line).ok()?;
    let text = String::from_utf8_lossy(&line[..length]);
    // The name, in parentheses, can hold anything, parentheses too.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let threads: u32 = fields.nth(15)?.parse().ok()?;
    let started = fields.nth(1)?.parse().ok()?;
    // The first thread may have ended while another still holds the process's files.
    let ended = matches!(state, "Z" | "X" | "x") && threads <= 1;
    (!ended).then_some(Stat { parent, started })
}

fn namespace() -> Option<u64> {
    fs::metadata("/proc/self/ns/pid").ok().map(|found| found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_ends_and_its_number_says_nothing() {
        let own = Process::of(host_sys::process::pid()).unwrap();
        assert!(own.is_alive());
        assert!(!Process { started: own.started + 1, ..own }.is_alive());
        assert!(Process { started: 0, namespace: own.namespace + 1, ..own }.is_alive());
        assert_eq!(Process::of(i32::MAX), None);
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // a test may start a program
    fn one_that_waits_to_be_waited_for_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process::of(child.id() as i32);
        while Process::of(child.id() as i32).is_some() {
            std::thread::yield_now();
        }
        assert!(process.is_none_or(|process| !process.is_alive()));
        child.wait().unwrap();
    }
}
