//! How far a collector is, in a file that outlives it: what the next one needs to go on with neither
//! a byte lost nor one taken twice.
//!
//! Invariant: a state is written as one small piece, so whoever reads it finds the one before or the
//! one after. It stands in RUN: it is about pipes, which do not outlive the host either.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Of one stream. Its bytes are counted from the start of the instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The first byte that waits in the back pipe.
    pub(super) head: u64,
    /// The first byte that the caller was not shown.
    pub(super) shown: u64,
    /// Within a line that is too long for one record: the number of its next part.
    pub(super) part: Option<u32>,
    /// Which of the two back pipes is in use; what is in the other is to be thrown away.
    pub(super) pipe: u8,
    /// What of the back pipe stands in the log, or is counted as lost, and is being taken out. Until
    /// that is done nothing is put in.
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
    /// What the disk had no room for.
    pub(super) lost: Lost,
}

/// Length of a written state, in bytes.
const LENGTH: usize = (2 * 7 + 3) * 8;

impl State {
    fn encode(&self) -> [u8; LENGTH] {
        let mut words = Vec::with_capacity(LENGTH / 8);
        for Progress { head, shown, part, pipe, drain } in self.streams {
            let drain_words = drain.map_or([0; 3], |drain| [1, drain.held, drain.count]);
            let part = part.map_or(0, |part| u64::from(part) + 1);
            words.extend([head, shown, part, u64::from(pipe)]);
            words.extend(drain_words);
        }
        let Lost { first, count, errno } = self.lost;
        words.extend([first, count, u64::from(errno.unsigned_abs())]);
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
            let (head, shown, part, pipe) = (word(), word(), word(), word());
            let (drains, held, count) = (word(), word(), word());
            Progress {
                head,
                shown,
                part: part.checked_sub(1).and_then(|part| u32::try_from(part).ok()),
                pipe: u8::from(pipe == 1),
                drain: (drains == 1).then_some(Drain { held, count }),
            }
        });
        let (first, count, errno) = (word(), word(), word());
        State { streams, lost: Lost { first, count, errno: i32::try_from(errno).unwrap_or(0) } }
    }
}

/// The file of a state.
#[derive(Debug)]
pub(super) struct StateFile(File);

impl StateFile {
    /// One that holds a state, or is new and empty.
    pub(super) fn new(file: File) -> StateFile {
        StateFile(file)
    }

    /// The state in it; that of an instance that has written nothing yet, in a new one.
    pub(super) fn read(&self) -> io::Result<State> {
        let mut bytes = [0; LENGTH];
        match self.0.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(State::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(State::default()),
            Err(error) => Err(error),
        }
    }

    /// Replace it.
    pub(super) fn write(&self, state: &State) -> io::Result<()> {
        self.0.write_all_at(&state.encode(), 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_state_is_read_as_it_was_written(
            numbers in any::<[u64; 10]>(),
            parts in any::<[Option<u16>; 2]>(),
            pipes in any::<[bool; 2]>(),
            drains in any::<[bool; 2]>(),
            errno in 0..200,
        ) {
            let progress = |one: usize| Progress {
                head: numbers[4 * one],
                shown: numbers[4 * one + 1],
                part: parts[one].map(u32::from),
                pipe: u8::from(pipes[one]),
                drain: drains[one].then_some(Drain {
                    held: numbers[4 * one + 2],
                    count: numbers[4 * one + 3],
                }),
            };
            let lost = Lost { first: numbers[8], count: numbers[9], errno };
            let state = State { streams: [progress(0), progress(1)], lost };
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
