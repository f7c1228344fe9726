//! Which backend gets a connection: policies as a key and slots.
//!
//! Owns what each built-in policy makes of the backends that serve. Invariant: pure; every slot has
//! a backend, and each backend has as many slots as its share asks for, but for less than one.
//! Never sees a connection: the kernel draws a slot by the key for each, and what a policy knows
//! of connections are counts it is given.

mod live;
mod slots;
mod stable;

use crate::registry::{BackendId, Percent, Weight};
use manifest_spec::plugin::{Answer, Key};

/// How a backend is chosen for a new connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Policy {
    /// One after another, whatever their weights.
    RoundRobin,
    /// One after another, by weight.
    Weighted,
    /// By chance, by weight.
    Random,
    /// The same client, the same backend, as long as that is there; by weight. Clients' hashes lead
    /// into a table that changes little (as in Maglev, Eisenbud and others, NSDI 2016).
    SourceHash {
        /// Whether two connections of one client, from two ports, may go to different backends.
        port: bool,
    },
    /// Whoever has the fewest connections for its weight.
    LeastConnections,
    /// Of two by chance (by weight), the one with fewer connections for its weight.
    P2c,
    /// Backends of one version get a share of all connections, by weight within it; one after
    /// another.
    Canary {
        /// The version.
        version: String,
        /// Its share.
        share: Percent,
    },
    /// As a plugin answered last. Backends it left out get nothing, unless nobody else is there:
    /// then all get the same.
    Given(Answer),
}

/// What a slot is drawn by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Choice {
    /// By turns.
    Turn,
    /// By chance.
    Chance,
    /// By the client's address.
    Source,
    /// By the client's address and port.
    SourceAndPort,
}

impl Choice {
    /// All of them.
    pub const ALL: [Choice; 4] =
        [Choice::Turn, Choice::Chance, Choice::Source, Choice::SourceAndPort];
}

/// How many slots a service has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Count {
    /// 16, as long as they are enough.
    Few,
    /// 64.
    More,
    /// 128.
    Most,
}

impl Count {
    /// All of them, fewest first.
    pub const ALL: [Count; 3] = [Count::Few, Count::More, Count::Most];

    /// The fewest that are so many, or the most there are.
    fn of(slots: usize) -> Count {
        Count::ALL.into_iter().find(|count| count.get() >= slots).unwrap_or(Count::Most)
    }

    /// The number.
    pub fn get(self) -> usize {
        match self {
            Count::Few => 16,
            Count::More => 64,
            Count::Most => 128,
        }
    }
}

/// A backend as a policy sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Its name.
    pub id: &'a BackendId,
    /// What it counts for.
    pub weight: Weight,
    /// The version it runs, if that is known.
    pub version: Option<&'a str>,
    /// How many connections it was last seen to have.
    pub connections: u64,
}

impl Policy {
    /// What its slots are drawn by.
    pub fn choice(&self) -> Choice {
        match self {
            Policy::Random | Policy::P2c => Choice::Chance,
            Policy::SourceHash { port: false } => Choice::Source,
            Policy::SourceHash { port: true } => Choice::SourceAndPort,
            Policy::Given(Answer::Slots { key, .. }) => match key {
                Key::Turn => Choice::Turn,
                Key::Random => Choice::Chance,
                Key::Source => Choice::Source,
                Key::SourcePort => Choice::SourceAndPort,
            },
            _ => Choice::Turn,
        }
    }

    /// The share of each candidate, in their order. Only what they are to one another counts; at
    /// least one is not 0 where there is a candidate.
    pub fn shares(&self, candidates: &[Candidate<'_>]) -> Vec<u128> {
        let weights = || candidates.iter().map(|one| one.weight.get().into()).collect();
        match self {
            Policy::RoundRobin => vec![1; candidates.len()],
            Policy::Weighted | Policy::Random | Policy::SourceHash { .. } => weights(),
            Policy::LeastConnections => live::least_connections(candidates),
            Policy::P2c => live::better_of_two(candidates),
            Policy::Canary { version, share } => {
                canary(candidates, version, *share).unwrap_or_else(weights)
            }
            Policy::Given(answer) => given(candidates, answer),
        }
    }

    /// How many slots are needed for these candidates.
    pub fn count(&self, candidates: &[Candidate<'_>]) -> Count {
        let few = match self {
            Policy::SourceHash { .. } => Count::More,
            Policy::Given(Answer::Slots { slots, .. }) => Count::of(slots.len()),
            _ => Count::Few,
        };
        let shares = self.shares(candidates);
        let precise = |count: &Count| slots::are_precise(&shares, count.get());
        let wide = |count: &Count| match self {
            // A table of few slots for each moves too many clients when one goes.
            Policy::SourceHash { .. } => candidates.len() * 16 <= count.get(),
            _ => true,
        };
        let counts = Count::ALL.into_iter().filter(|count| *count >= few);
        counts.into_iter().find(|count| precise(count) && wide(count)).unwrap_or(Count::Most)
    }

    /// The slots: for each, which candidate has it. None without candidates.
    pub fn slots(&self, candidates: &[Candidate<'_>], count: Count) -> Vec<usize> {
        if let Policy::Given(Answer::Slots { slots, .. }) = self {
            let place = |name: &String| candidates.iter().position(|one| one.id.as_str() == name);
            let found: Vec<_> = slots.iter().filter_map(place).collect();
            if !found.is_empty() {
                return found.into_iter().cycle().take(count.get()).collect();
            }
        }
        let quotas = slots::quotas(&self.shares(candidates), count.get());
        match self {
            Policy::SourceHash { .. } => {
                let names: Vec<_> = candidates.iter().map(|one| one.id.as_str()).collect();
                stable::table(&names, &quotas)
            }
            _ => slots::smooth(&quotas),
        }
    }
}

/// Shares as a plugin wants them.
fn given(candidates: &[Candidate<'_>], answer: &Answer) -> Vec<u128> {
    let share = |one: &Candidate<'_>| match answer {
        Answer::Weights(weights) => {
            u128::from(weights.get(one.id.as_str()).copied().unwrap_or_default())
        }
        Answer::Slots { slots, .. } => {
            slots.iter().filter(|name| *name == one.id.as_str()).count() as u128
        }
    };
    let shares: Vec<_> = candidates.iter().map(share).collect();
    if shares.iter().any(|share| *share > 0) { shares } else { vec![1; candidates.len()] }
}

/// Shares where one version gets a part of all; none where all or nobody is of it.
fn canary(candidates: &[Candidate<'_>], version: &str, share: Percent) -> Option<Vec<u128>> {
    let chosen = |one: &Candidate<'_>| one.version == Some(version);
    let weight = |one: &Candidate<'_>| u128::from(one.weight.get());
    let inside: u128 = candidates.iter().filter(|one| chosen(one)).map(weight).sum();
    let outside: u128 = candidates.iter().filter(|one| !chosen(one)).map(weight).sum();
    let percent = u128::from(share.get());
    let one = |one: &Candidate<'_>| match chosen(one) {
        true => weight(one) * percent * outside,
        false => weight(one) * (100 - percent) * inside,
    };
    (inside > 0 && outside > 0).then(|| candidates.iter().map(one).collect())
}

#[cfg(test)]
mod tests;
