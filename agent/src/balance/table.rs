//! The balancer's table as hostd holds it: there while there is a service, gone with the last.
//!
//! Owns the socket, and with it the table. Invariant: what is in force is the newest ruleset that
//! the kernel took; one that it refused is tried again. It is written by hostd's one thread: a
//! process with two can't start others in its own memory, a change costs less than a tenth of a
//! millisecond, and loading ten thousand services costs about as much as reading them from disk.

use std::collections::BTreeSet;
use std::fmt;

use host_sys::Errno;
use loadbalancer::nft::Owner;
use loadbalancer::registry::{Name, Registry};
use loadbalancer::ruleset::{Diff, Ruleset, diff};
use loadbalancer::writer::{Found, WriteError, Writer};

use super::Socket;

/// errno(3): the table is another process's.
const EPERM: i32 = 1;

/// Why no table can be held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTable {
    /// There is no socket to nf_tables.
    Socket(Errno),
    /// The kernel has no nf_tables, or does not tell.
    Kernel(WriteError),
    /// Another process holds the table of this network.
    Held,
}

impl fmt::Display for NoTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoTable::Socket(Errno::EPERM) => f.write_str("hostd may not change nf_tables"),
            NoTable::Socket(errno) => write!(f, "no socket to nf_tables: {}", errno.desc()),
            NoTable::Kernel(error) => error.fmt(f),
            NoTable::Held => f.write_str("another process of this network holds the table hostctl"),
        }
    }
}

/// The table.
#[derive(Debug)]
pub struct Table {
    hand: Hand,
    ruleset: Ruleset,
    /// Whether the kernel has taken the ruleset.
    in_force: bool,
}

#[derive(Debug)]
enum Hand {
    /// There is no table, or one that an earlier hostd left.
    Empty(Socket),
    /// There is one, and it is ours.
    Full(Box<Writer<Socket>>),
    /// The socket went with a failure.
    Lost,
}

impl Table {
    /// Take the table that is there, or be ready to make one, with what is in it.
    ///
    /// # Errors
    /// When none can be held here.
    pub fn take(registry: &Registry) -> Result<Table, NoTable> {
        let mut socket = Socket::open().map_err(NoTable::Socket)?;
        let present = Writer::is_present(&mut socket).map_err(NoTable::Kernel)?;
        let ruleset = Ruleset::of(registry);
        let mut table = Table { hand: Hand::Empty(socket), ruleset, in_force: true };
        if present || !table.ruleset.is_empty() {
            table.start().map_err(|error| match error.errno() {
                EPERM => NoTable::Held,
                _ => NoTable::Kernel(error),
            })?;
            table.clear_away().map_err(NoTable::Kernel)?;
        }
        Ok(table)
    }

    /// Whether somebody else has made the table since this found that there was none.
    pub fn is_taken(&mut self) -> bool {
        match &mut self.hand {
            Hand::Empty(socket) => Writer::is_present(socket).unwrap_or(false),
            Hand::Full(_) | Hand::Lost => false,
        }
    }

    /// Whether the kernel does what was last asked for.
    pub fn is_in_force(&self) -> bool {
        self.in_force
    }

    /// Whether somebody may change what is in it while it is ours.
    pub fn is_open(&self) -> bool {
        matches!(&self.hand, Hand::Full(writer) if writer.owner() == Owner::Nobody)
    }

    /// Take in what changed in the registry: these services.
    ///
    /// # Errors
    /// What the kernel refused; [`Table::tend`] tries it again.
    pub fn put(&mut self, registry: &Registry, touched: &BTreeSet<Name>) -> Result<(), WriteError> {
        for name in touched {
            let _ = self.ruleset.renew(registry, name);
        }
        self.write()
    }

    /// See that all is as it should be, and make it so; what was found if it was not.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn tend(&mut self) -> Result<Option<Found>, WriteError> {
        let failed = !self.in_force;
        if failed {
            self.write()?;
        }
        match &mut self.hand {
            Hand::Full(writer) => {
                let found = writer.look()?;
                Ok(Some(found).filter(|found| *found != Found::Whole))
            }
            Hand::Empty(_) | Hand::Lost => Ok(None),
        }
    }

    fn write(&mut self) -> Result<(), WriteError> {
        self.in_force = false;
        match &mut self.hand {
            Hand::Full(writer) if self.ruleset.is_empty() => {
                // All that is in it goes in any case.
                writer.write(|now| turn(now, &self.ruleset))?;
                self.clear_away()?;
            }
            Hand::Full(writer) => writer.write(|now| turn(now, &self.ruleset))?,
            Hand::Empty(_) if self.ruleset.is_empty() => {}
            Hand::Empty(_) | Hand::Lost => self.start()?,
        }
        self.in_force = true;
        Ok(())
    }

    fn start(&mut self) -> Result<(), WriteError> {
        let socket = match std::mem::replace(&mut self.hand, Hand::Lost) {
            Hand::Empty(socket) => socket,
            Hand::Full(writer) => {
                self.hand = Hand::Full(writer);
                return Ok(());
            }
            Hand::Lost => Socket::open().map_err(|errno| WriteError::closed(errno as i32))?,
        };
        self.hand = Hand::Full(Box::new(Writer::start(socket, self.ruleset.clone())?));
        Ok(())
    }

    /// Remove the table if there is nothing in it.
    fn clear_away(&mut self) -> Result<(), WriteError> {
        if !self.ruleset.is_empty() {
            return Ok(());
        }
        self.hand = match std::mem::replace(&mut self.hand, Hand::Lost) {
            Hand::Full(writer) => Hand::Empty(writer.remove()?),
            hand => hand,
        };
        Ok(())
    }
}

/// What turns the one ruleset into the other, which it is then.
fn turn(now: &mut Ruleset, wanted: &Ruleset) -> Diff {
    let change = diff(now, wanted);
    now.clone_from(wanted);
    change
}
