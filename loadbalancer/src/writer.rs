//! The one writer of the table: what the kernel has is what the ruleset says.
//!
//! Owns which ruleset is in force, and who the table belongs to. Invariant: each change is one
//! batch, done as a whole or not at all; after an error nobody guesses: what the kernel has is read
//! back before the next change. Never opens a socket (it is lent a [`Kernel`]) and never touches a
//! table of somebody else.

mod contents;
mod error;

use crate::nft::{self, Batch, Owner, Present};
use crate::ruleset::{Diff, Forget, NAME, Ruleset, diff, table};
use contents::{Contents, affinities};
pub use error::WriteError;

/// A netlink socket of family NETLINK_NETFILTER, held as long as the writer.
pub trait Kernel {
    /// Send a batch in one sendmsg(2), and wait for its acknowledgement. The socket must have room
    /// for all of it (SO_SNDBUFFORCE).
    ///
    /// # Errors
    /// The first refusal.
    fn commit(&mut self, batch: &[u8]) -> Result<(), Answer>;

    /// Send a request, and hand over the body of each message of its answer, to the end of a dump
    /// or the acknowledgement.
    ///
    /// # Errors
    /// A refusal.
    fn ask(&mut self, request: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), Answer>;
}

/// Why the kernel did not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Sequence number of the message that was refused; 0 when none got that far.
    pub sequence: u32,
    /// The reason (errno(3)).
    pub errno: i32,
    /// The reason in words, where there are any.
    pub text: Option<String>,
}

/// errno(3).
const ENOENT: i32 = 2;
const EINVAL: i32 = 22;
const EOPNOTSUPP: i32 = 95;
/// The answer was lost, not the change.
const ENOBUFS: i32 = 105;
/// How often what clients were learnt is read anew because some were forgotten meanwhile.
const TRIES: usize = 5;

/// What a look at the kernel found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The table as it should be.
    Whole,
    /// Somebody had removed it: it is there again.
    Gone,
    /// Somebody had changed what is in it, or a change was lost: it is as it should be again.
    Changed,
}

/// The writer.
#[derive(Debug)]
pub struct Writer<K> {
    kernel: K,
    ruleset: Ruleset,
    owner: Owner,
    handle: u64,
    /// How often anybody's tables had changed when this one was last known to be right.
    generation: u32,
    /// Whether a change was asked for that may not have been made.
    in_doubt: bool,
}

impl<K: Kernel> Writer<K> {
    /// Put a ruleset in force: take the table over that an earlier hostd left, or make one. What is
    /// as it should be is not touched. The table belongs to the kernel's socket and outlives it,
    /// where the kernel can do that (6.9); else it belongs to nobody.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn start(kernel: K, ruleset: Ruleset) -> Result<Writer<K>, WriteError> {
        let owner = Owner::Successive;
        let mut writer =
            Writer { kernel, ruleset, owner, handle: 0, generation: 0, in_doubt: true };
        let Some(present) = writer.present()? else {
            writer.make(false)?;
            return Ok(writer);
        };
        writer.take()?;
        if present.comment == table(owner).comment {
            writer.restore(present.handle)?;
        } else {
            // Of another version's shape: whosever it was, the new one is ours.
            writer.owner = owner;
            writer.make(true)?;
        }
        Ok(writer)
    }

    /// Whom the table belongs to.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// What is in force.
    pub fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// Change the ruleset, and put in force what `change` says is different.
    ///
    /// # Errors
    /// What the kernel refused. The ruleset is the new one nevertheless: [`Writer::look`] puts it
    /// in force once the kernel takes it.
    pub fn write(&mut self, change: impl FnOnce(&mut Ruleset) -> Diff) -> Result<(), WriteError> {
        let diff = change(&mut self.ruleset);
        if diff.is_empty() {
            return Ok(());
        }
        if self.in_doubt {
            return self.look().map(|_| ());
        }
        self.in_doubt = true;
        match self.commit(&diff.batch()) {
            Ok(()) => self.in_doubt = false,
            // Somebody has removed something, or the answer was lost: what is there tells.
            Err(error) if matches!(error.errno(), ENOENT | ENOBUFS) => _ = self.look()?,
            Err(error) => return Err(error),
        }
        self.count()?;
        self.forget(&diff.forget)
    }

    /// See whether the table is as it should be, and make it so. Cheap where nobody has changed any
    /// table.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn look(&mut self) -> Result<Found, WriteError> {
        let now = self.ask_generation()?;
        if self.generation == now && !self.in_doubt {
            return Ok(Found::Whole);
        }
        let shape = table(self.owner).comment;
        match self.present()? {
            // Nobody else could change what is in it.
            Some(present)
                if present.handle == self.handle
                    && self.owner != Owner::Nobody
                    && !self.in_doubt =>
            {
                self.generation = now;
                Ok(Found::Whole)
            }
            Some(present) if present.comment == shape => self.restore(present.handle),
            other => {
                self.make(other.is_some())?;
                Ok(Found::Gone)
            }
        }
    }

    /// Remove the table, and hand back what it was spoken to by. Connections that were sent to a
    /// backend go on.
    ///
    /// # Errors
    /// What the kernel refused; one that somebody else has removed is gone all the same.
    pub fn remove(mut self) -> Result<K, WriteError> {
        match self.commit(&Batch::default().delete(NAME)) {
            Err(error) if error.errno() != ENOENT => Err(error),
            _ => Ok(self.kernel),
        }
    }

    /// Whether there is a table of this name, whosever it is.
    ///
    /// # Errors
    /// What the kernel did not tell.
    pub fn is_present(kernel: &mut K) -> Result<bool, WriteError> {
        match kernel.ask(&nft::table_request(NAME), &mut |_| {}) {
            Ok(()) => Ok(true),
            Err(answer) if answer.errno == ENOENT => Ok(false),
            Err(answer) => Err(WriteError::Unread(format!("table {NAME}"), answer)),
        }
    }

    /// Make the table and all that is in it, in one batch; the one that is there goes.
    fn make(&mut self, replace: bool) -> Result<(), WriteError> {
        let load = diff(&Ruleset::default(), &self.ruleset);
        let batch = |owner| {
            let batch = Batch::default();
            let batch = if replace { batch.delete(NAME) } else { batch };
            batch.create(&table(owner)).add(NAME, &load.added)
        };
        match self.commit(&batch(self.owner)) {
            // Before kernel 6.9 no table outlives its owner.
            Err(error) if matches!(error.errno(), EINVAL | EOPNOTSUPP) => {
                self.owner = Owner::Nobody;
                self.commit(&batch(self.owner))?;
            }
            other => other?,
        }
        self.settle()
    }

    /// Make what is in the table what should be.
    fn restore(&mut self, handle: u64) -> Result<Found, WriteError> {
        let shape = table(self.owner);
        let there = Contents::read(&mut self.kernel, &shape)?;
        let diff = there.diff(&self.ruleset);
        if !diff.is_empty() {
            self.commit(&diff.batch())?;
        }
        self.settle()?;
        let found = if diff.is_empty() { Found::Whole } else { Found::Changed };
        Ok(if handle == self.handle { found } else { Found::Changed })
    }

    /// Remember that all is right now.
    fn settle(&mut self) -> Result<(), WriteError> {
        self.handle = self.present()?.ok_or(WriteError::Vanished)?.handle;
        self.generation = self.ask_generation()?;
        self.in_doubt = false;
        Ok(())
    }

    /// Take in a batch of one's own. If others have changed tables too, the next look tells whether
    /// it was this one.
    fn count(&mut self) -> Result<(), WriteError> {
        let next = self.generation.wrapping_add(1);
        if self.ask_generation()? == next {
            self.generation = next;
        }
        Ok(())
    }

    /// Become the owner of the table that is there.
    fn take(&mut self) -> Result<(), WriteError> {
        match self.commit(&Batch::default().take(NAME)) {
            Err(error) if matches!(error.errno(), EINVAL | EOPNOTSUPP) => {
                self.owner = Owner::Nobody;
                Ok(())
            }
            other => other,
        }
    }

    fn forget(&mut self, forget: &[Forget]) -> Result<(), WriteError> {
        if forget.is_empty() {
            return Ok(());
        }
        let shape = table(self.owner);
        for _ in 0..TRIES {
            let gone = affinities(&mut self.kernel, &shape, forget)?;
            match self.commit(&Batch::default().remove(NAME, &gone)) {
                // The time of one of them was over.
                Err(error) if error.errno() == ENOENT => {}
                Err(error) => return Err(error),
                Ok(()) if gone.is_empty() => return Ok(()),
                Ok(()) => return self.count(),
            }
        }
        Err(WriteError::Restless)
    }

    fn present(&mut self) -> Result<Option<Present>, WriteError> {
        let mut found = None;
        match self.kernel.ask(&nft::table_request(NAME), &mut |body| found = nft::table(body)) {
            Ok(()) => Ok(found),
            Err(answer) if answer.errno == ENOENT => Ok(None),
            Err(answer) => Err(WriteError::Unread(format!("table {NAME}"), answer)),
        }
    }

    fn ask_generation(&mut self) -> Result<u32, WriteError> {
        let mut found = None;
        let request = nft::generation_request();
        let asked = self.kernel.ask(&request, &mut |body| found = nft::generation(body));
        let generation = || "the generation of tables".to_owned();
        asked.map_err(|answer| WriteError::Unread(generation(), answer))?;
        found.ok_or_else(|| WriteError::Unclear(generation()))
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), WriteError> {
        let encoded = batch.encode();
        if encoded.is_empty() {
            return Ok(());
        }
        self.kernel.commit(&encoded.bytes).map_err(|answer| {
            let object = encoded.object(answer.sequence).to_owned();
            WriteError::Refused { object, answer }
        })
    }
}
