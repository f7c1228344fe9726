//! How far a collector is, in a file that outlives it: what the next one needs to go on with neither
//! a byte lost nor one taken twice.
//!
//! Invariant: a state is written as one small piece, so whoever reads it finds the one before or the
//! one after. It stands in RUN: it is about pipes, which do not outlive the host either.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Its name in the instance's folder below RUN.
const NAME: &str = "state";

/// Of one stream. Its bytes are counted from the start of the instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The first byte that is kept: beside, or else in the back pipe.
    pub(super) head: u64,
    /// How many bytes are beside, in a file: the first of those that are kept.
    pub(super) aside: u64,
    /// The first byte that is in no record, and was not counted as lost.
    pub(super) recorded: u64,
    /// Within a line that is too long for one record: the number of its next part.
    pub(super) part: Option<u32>,
    /// The first byte that the caller was not shown.
    pub(super) shown: u64,
    /// What is being taken out of the back pipe. Until that is done nothing is put in.
    pub(super) drain: Option<Drain>,
}

/// Bytes on their way out of a back pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drain {
    /// How many were in the pipe before.
    pub(super) held: u64,
    /// How many of them go.
    pub(super) count: u64,
}

impl Drain {
    /// How many are still to go, when so many are in the pipe.
    pub(super) fn left(self, waiting: u64) -> u64 {
        self.count.saturating_sub(self.held.saturating_sub(waiting))
    }
}

/// Records that could not be written, and that nothing in the log says so yet of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// The number of the first.
    pub(super) first: u64,
    /// How many.
    pub(super) count: u64,
    /// Why, by errno.
    pub(super) errno: i32,
}

/// All of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Standard output and error.
    pub(super) streams: [Progress; 2],
    /// When the last message came that was dealt with, by the log socket and by the line to the
    /// holder; nanoseconds since 1970.
    pub(super) heard: [u64; 2],
    /// The number of the first record of this start; 0 until somebody has looked.
    pub(super) began: u64,
    /// What the disk had no room for.
    pub(super) lost: Lost,
}

/// Words of a stream.
const WORDS: usize = 8;
/// Length of a written state, in bytes.
const LENGTH: usize = (2 * WORDS + 6) * 8;

impl State {
    fn encode(&self) -> [u8; LENGTH] {
        let mut words = Vec::with_capacity(LENGTH / 8);
        for Progress { head, aside, recorded, part, shown, drain } in self.streams {
            words.extend([
                head,
                aside,
                recorded,
                part.map_or(0, |part| u64::from(part) + 1),
                shown,
            ]);
            words.extend(drain.map_or([0; 3], |drain| [1, drain.held, drain.count]));
        }
        let Lost { first, count, errno } = self.lost;
        words.extend(self.heard);
        words.extend([self.began, first, count, u64::from(errno.unsigned_abs())]);
        let mut bytes = [0; LENGTH];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; LENGTH]) -> State {
        let mut words = bytes.chunks_exact(8).map(|word| {
            let mut value = [0; 8];
            value.copy_from_slice(word);
            u64::from_le_bytes(value)
        });
        let mut word = || words.next().unwrap_or(0);
        let streams = std::array::from_fn(|_| {
            let (head, aside, recorded, part, shown) = (word(), word(), word(), word(), word());
            let (drains, held, count) = (word(), word(), word());
            let part = part.checked_sub(1).and_then(|part| u32::try_from(part).ok());
            let drain = (drains == 1).then_some(Drain { held, count });
            Progress { head, aside, recorded, part, shown, drain }
        });
        let heard = [word(), word()];
        let (began, first, count, errno) = (word(), word(), word(), word());
        let lost = Lost { first, count, errno: i32::try_from(errno).unwrap_or(0) };
        State { streams, heard, began, lost }
    }
}

/// The file of a state.
#[derive(Debug)]
pub(super) struct StateFile(File);

impl StateFile {
    /// Begin anew, for another start of the instance: nothing stays of what was known of the last
    /// one but what it lost and could not say yet.
    pub(super) fn renew(folder: &Path) -> io::Result<()> {
        let before = StateFile::open(folder).and_then(|file| file.read()).unwrap_or_default();
        let state = State { lost: before.lost, ..State::default() };
        let new = folder.join(format!("{NAME}.new"));
        let file =
            File::options().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        StateFile(file).write(&state)?;
        fs::rename(new, folder.join(NAME))
    }

    /// The one in an instance's folder.
    pub(super) fn open(folder: &Path) -> io::Result<StateFile> {
        File::options().read(true).write(true).open(folder.join(NAME)).map(StateFile)
    }

    /// Remove it.
    pub(super) fn remove(folder: &Path) -> io::Result<()> {
        fs::remove_file(folder.join(NAME))
    }

    /// The state in it.
    pub(super) fn read(&self) -> io::Result<State> {
        let mut bytes = [0; LENGTH];
        self.0.read_exact_at(&mut bytes, 0)?;
        Ok(State::decode(&bytes))
    }

    /// Replace it.
    pub(super) fn write(&self, state: &State) -> io::Result<()> {
        self.0.write_all_at(&state.encode(), 0)
    }
}

/// A state, here and in its file.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) state: State,
    file: StateFile,
}

impl Ledger {
    pub(super) fn open(folder: &Path) -> io::Result<Ledger> {
        let file = StateFile::open(folder)?;
        Ok(Ledger { state: file.read()?, file })
    }

    /// Have the file say what is known here.
    pub(super) fn save(&self) -> io::Result<()> {
        super::checkpoint();
        self.file.write(&self.state)?;
        super::checkpoint();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_state_is_read_as_it_was_written(
            numbers in any::<[u64; 18]>(),
            parts in any::<[Option<u16>; 2]>(),
            drains in any::<[bool; 2]>(),
            errno in 0..200,
        ) {
            let progress = |one: usize| Progress {
                head: numbers[6 * one],
                aside: numbers[6 * one + 1],
                recorded: numbers[6 * one + 2],
                part: parts[one].map(u32::from),
                shown: numbers[6 * one + 3],
                drain: drains[one].then_some(Drain {
                    held: numbers[6 * one + 4],
                    count: numbers[6 * one + 5],
                }),
            };
            let state = State {
                streams: [progress(0), progress(1)],
                heard: [numbers[12], numbers[13]],
                began: numbers[14],
                lost: Lost { first: numbers[15], count: numbers[16], errno },
            };
            prop_assert_eq!(State::decode(&state.encode()), state);
        }

        #[test]
        fn a_drain_goes_on_wherever_it_was_broken_off(
            held in 0_u64..1000, part in 0.0..=1.0, done in 0.0..=1.0,
        ) {
            let count = (held as f64 * part) as u64;
            let gone = (count as f64 * done) as u64;
            prop_assert_eq!(Drain { held, count }.left(held - gone), count - gone);
        }
    }
}
