//! Why something can't be leased, in words.
//!
//! Invariant: a value; whoever reads it needs no further question to the host. Never prints.

use std::fmt;

use host_sys::clock::{self, Minute};

use super::holder::Process;
use super::key::Key;
use super::probe::Owner;
use super::table::State;

/// A lease that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    /// `shop.web.1`.
    pub name: String,
    /// The hostctl that holds it.
    pub process: Process,
    /// What the holder had started.
    pub guard: Option<Process>,
    /// Where it stands.
    pub state: State,
    /// Since when, as people say it.
    pub since: String,
}

/// One key that is not to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// Others hold it.
    Held(Key, Vec<Occupant>),
    /// A process without a lease is on it.
    Foreign(Key, Option<Owner>),
    /// A process of an app of ours is on it, without a lease: the app's instance.
    Stray(Key, Owner, String),
}

/// Everything that is in the way of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// At least one.
    pub conflicts: Vec<Conflict>,
    /// The smallest larger offset at which nothing is, if one was looked for and found.
    pub next_offset: Option<u16>,
}

impl Refusal {
    /// Whether all that is in the way is left of holders that are dead already.
    pub fn is_ending(&self) -> bool {
        self.conflicts.iter().all(|conflict| match conflict {
            Conflict::Held(_, all) => all.iter().all(|one| one.state == State::Draining),
            _ => false,
        })
    }

    /// Processes whose end may clear the way; `None` among them for what can't be waited for.
    pub fn awaited(&self) -> Vec<Option<Process>> {
        let of = |conflict: &Conflict| match conflict {
            Conflict::Held(_, occupants) => occupants.iter().map(Occupant::awaited).collect(),
            _ => vec![None],
        };
        self.conflicts.iter().flat_map(of).collect()
    }
}

impl Occupant {
    fn awaited(&self) -> Option<Process> {
        match self.state {
            State::Held => Some(self.process),
            State::Draining => self.guard,
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, conflict) in self.conflicts.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            write!(f, "{separator}{conflict}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Conflict::Held(key, occupants) => {
                let holders: Vec<_> = occupants.iter().map(ToString::to_string).collect();
                write!(f, "{} is held by {}", key.phrase(), holders.join(" and "))
            }
            Conflict::Foreign(key, Some(owner)) => {
                write!(f, "{} is in use by {owner}, which hostctl did not start", key.phrase())
            }
            Conflict::Foreign(key, None) => {
                write!(f, "{} is in use by a process that you may not see", key.phrase())
            }
            Conflict::Stray(key, owner, app) => {
                write!(f, "{} is in use by {owner} of {app}, without a lease", key.phrase())
            }
        }
    }
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Occupant { name, process, since, .. } = self;
        match (self.state, self.guard) {
            (State::Draining, Some(guard)) => {
                write!(f, "what {name} left behind (pid {}, since {since})", guard.pid)
            }
            (State::Quarantined, _) => write!(f, "nobody, but still in use since {name} ended"),
            _ => write!(f, "{name} (pid {}, since {since})", process.pid),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Owner { pid, program, user } = self;
        let user = if user.starts_with("uid ") { user.clone() } else { format!("user {user}") };
        write!(f, "{program} (pid {pid}, {user})")
    }
}

/// A time as people say it, in the host's zone: `09:14` of today, else with its date. Both are
/// milliseconds since 1970.
pub fn since(then: i64, now: i64) -> String {
    spoken(clock::local(then.div_euclid(1000)), clock::local(now.div_euclid(1000)))
}

fn spoken(then: Minute, now: Minute) -> String {
    let Minute { year, month, day, hour, minute } = then;
    if (year, month, day) == (now.year, now.month, now.day) {
        format!("{hour:02}:{minute:02}")
    } else {
        format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occupant(name: &str, pid: i32) -> Occupant {
        Occupant {
            name: name.into(),
            process: Process { pid, started: 1, namespace: 1 },
            guard: Some(Process { pid: pid + 1, started: 1, namespace: 1 }),
            state: State::Held,
            since: "09:14".into(),
        }
    }

    #[test]
    fn every_conflict_says_who() {
        let port: Key = "port:8080/tcp".parse().unwrap();
        let lock: Key = "slot:build/2".parse().unwrap();
        let owner = Owner { pid: 812, program: "nginx".into(), user: "www-data".into() };
        let held = Conflict::Held(port.clone(), vec![occupant("shop.web.1", 812)]);
        assert_eq!(held.to_string(), "port 8080/tcp is held by shop.web.1 (pid 812, since 09:14)");
        let two = Conflict::Held(lock, vec![occupant("make", 7), occupant("sh", 9)]);
        assert_eq!(
            two.to_string(),
            "lock build (max 2) is held by make (pid 7, since 09:14) and sh (pid 9, since 09:14)"
        );
        let foreign = Conflict::Foreign(port.clone(), Some(owner.clone()));
        assert_eq!(
            foreign.to_string(),
            "port 8080/tcp is in use by nginx (pid 812, user www-data), which hostctl did not start"
        );
        let stray = Conflict::Stray(port.clone(), owner, "shop.web.1".into());
        assert_eq!(
            stray.to_string(),
            "port 8080/tcp is in use by nginx (pid 812, user www-data) of shop.web.1, without a lease"
        );
        let unseen = Conflict::Foreign(port.clone(), None);
        assert_eq!(unseen.to_string(), "port 8080/tcp is in use by a process that you may not see");
        let left = Occupant { state: State::Draining, ..occupant("shop.web.1", 812) };
        assert_eq!(
            Conflict::Held(port.clone(), vec![left]).to_string(),
            "port 8080/tcp is held by what shop.web.1 left behind (pid 813, since 09:14)"
        );
        let gone = Occupant { state: State::Quarantined, ..occupant("shop.web.1", 812) };
        assert_eq!(
            Conflict::Held(port, vec![gone]).to_string(),
            "port 8080/tcp is held by nobody, but still in use since shop.web.1 ended"
        );
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let then = Minute { year: 2026, month: 3, day: 9, hour: 9, minute: 4 };
        assert_eq!(spoken(then, Minute { hour: 23, ..then }), "09:04");
        assert_eq!(spoken(then, Minute { day: 10, ..then }), "2026-03-09 09:04");
    }
}
