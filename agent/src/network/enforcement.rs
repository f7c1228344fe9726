//! Rules in force: their programs, loaded and attached to an instance's cgroup.
//!
//! Invariant: the programs are attached before the instance has a process, and stay until its cgroup
//! is gone, whatever becomes of hostctl. A change of rules replaces program by program, so there is
//! no moment without one.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use host_sys::Errno;
use host_sys::bpf::{self, Hook, Instruction, Map, Program};

use super::program::{CLIENT, Tables, compile, distinguishes, remembers};
use super::rules::Rules;

/// How many clients of UDP ports are remembered at once.
const CLIENTS: u32 = 16_384;

/// Why rules are not in force.
#[derive(Debug)]
pub enum EnforcementError {
    /// More rules than one program can hold.
    TooMany,
    /// The kernel did not make the table of clients.
    Clients(Errno),
    /// The kernel did not make the table of IPv6 sockets.
    Sockets(Errno),
    /// The kernel did not take a program in: what its verifier said.
    Load(Hook, Errno, String),
    /// The kernel did not attach a program.
    Attach(Hook, Errno),
}

impl fmt::Display for EnforcementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnforcementError::TooMany => f.write_str("there are too many destinations"),
            EnforcementError::Clients(errno) => {
                write!(f, "the table of UDP clients can't be made: {}", errno.desc())
            }
            EnforcementError::Sockets(errno) => {
                write!(f, "the table of IPv6 sockets can't be made: {}", errno.desc())
            }
            EnforcementError::Load(hook, errno, log) => {
                write!(f, "the kernel refused the {hook:?} program: {}", errno.desc())?;
                // The last lines say what is wrong; the rest is the program.
                let tail: Vec<_> = log.lines().rev().take(3).collect();
                tail.iter().rev().try_for_each(|line| write!(f, "\n{line}"))
            }
            EnforcementError::Attach(hook, Errno::EPERM) => write!(
                f,
                "the kernel did not attach the {hook:?} program: an outer cgroup does not let inner ones have programs"
            ),
            EnforcementError::Attach(hook, errno) => {
                write!(f, "the kernel did not attach the {hook:?} program: {}", errno.desc())
            }
        }
    }
}

impl std::error::Error for EnforcementError {}

/// Programs at work.
#[derive(Debug)]
pub struct Enforcement {
    attached: Vec<(Hook, Vec<Instruction>, Program)>,
    clients: Option<Map>,
    v6_only: Option<Map>,
}

impl Enforcement {
    /// Hold every process of a cgroup to the rules.
    ///
    /// # Errors
    /// Nothing is to be started in the cgroup then.
    pub fn attach(cgroup: BorrowedFd<'_>, rules: &Rules) -> Result<Self, EnforcementError> {
        let clients = match remembers(rules) {
            true => Some(bpf::recent(CLIENT, 4, CLIENTS).map_err(EnforcementError::Clients)?),
            false => None,
        };
        let v6_only = match distinguishes(rules) {
            true => Some(bpf::of_sockets().map_err(EnforcementError::Sockets)?),
            false => None,
        };
        let mut enforcement = Enforcement { attached: Vec::new(), clients, v6_only };
        for (hook, code) in enforcement.compile(rules)? {
            enforcement.add(cgroup, hook, code)?;
        }
        Ok(enforcement)
    }

    fn add(
        &mut self,
        cgroup: BorrowedFd<'_>,
        hook: Hook,
        code: Vec<Instruction>,
    ) -> Result<(), EnforcementError> {
        let program = load(hook, &code)?;
        bpf::attach(cgroup, &program, None)
            .map_err(|errno| EnforcementError::Attach(hook, errno))?;
        self.attached.push((hook, code, program));
        Ok(())
    }

    /// Hold them to other rules from now on: of the same ports and kinds, with other addresses and
    /// interfaces.
    ///
    /// # Errors
    /// The rules of before are then in force where the new ones are not.
    pub fn change(
        &mut self,
        cgroup: BorrowedFd<'_>,
        rules: &Rules,
    ) -> Result<(), EnforcementError> {
        let (old, new): (Vec<_>, Vec<_>) = self
            .compile(rules)?
            .into_iter()
            .partition(|(hook, _)| self.attached.iter().any(|(one, ..)| one == hook));
        // Hooks that were not needed yet first: what lets more pass may count on them. One that is
        // no longer needed stays.
        for (hook, code) in new {
            self.add(cgroup, hook, code)?;
        }
        for (hook, code) in old {
            let Some(slot) = self.attached.iter_mut().find(|(one, ..)| *one == hook) else {
                continue;
            };
            if slot.1 != code {
                let program = load(hook, &code)?;
                bpf::attach(cgroup, &program, Some(&slot.2))
                    .map_err(|errno| EnforcementError::Attach(hook, errno))?;
                *slot = (hook, code, program);
            }
        }
        Ok(())
    }

    fn compile(&self, rules: &Rules) -> Result<Vec<(Hook, Vec<Instruction>)>, EnforcementError> {
        let descriptor = |map: &Option<Map>| map.as_ref().map(|map| map.as_fd().as_raw_fd());
        let tables =
            Tables { clients: descriptor(&self.clients), v6_only: descriptor(&self.v6_only) };
        compile(rules, tables).ok_or(EnforcementError::TooMany)
    }
}

fn load(hook: Hook, code: &[Instruction]) -> Result<Program, EnforcementError> {
    bpf::load(hook, c"hostctl", code)
        .map_err(|errno| EnforcementError::Load(hook, errno, bpf::refusal(hook, code)))
}

/// Whether the kernel takes such programs from this process. Attaches nothing.
pub fn is_possible() -> bool {
    bpf::load(Hook::Bind4, c"hostctl", &super::program::refusing()).is_ok()
}
