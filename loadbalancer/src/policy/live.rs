//! Shares from counts of connections.
//!
//! A table stays in force until the next counts, so "the one with the fewest" must not be one
//! backend: all that came meanwhile would go to it. Shares are what would lead there if counts
//! were renewed with every connection.

use super::Candidate;

/// Who is behind gets what evens all out: connections for weights to one level, with half as many
/// new ones as there are (at least 16). Who is above that level gets none.
pub(super) fn least_connections(candidates: &[Candidate<'_>]) -> Vec<u128> {
    let open: u128 = candidates.iter().map(|one| u128::from(one.connections)).sum();
    let coming = (open / 2).max(16);
    let mut order: Vec<&Candidate<'_>> = candidates.iter().collect();
    order.sort_by(|one, other| load(one, other).cmp(&load(other, one)));
    // The level is that of the least loaded, as many of them as are below it themselves.
    let (mut connections, mut weights) = (0_u128, 0_u128);
    for one in order {
        let (has, weight) = (u128::from(one.connections), u128::from(one.weight.get()));
        if weights > 0 && has * weights >= weight * (coming + connections) {
            break;
        }
        connections += has;
        weights += weight;
    }
    let share = |one: &Candidate<'_>| {
        let level = u128::from(one.weight.get()) * (coming + connections);
        level.saturating_sub(u128::from(one.connections) * weights)
    };
    candidates.iter().map(share).collect()
}

/// How likely each is drawn as the better of two that are drawn by weight.
pub(super) fn better_of_two(candidates: &[Candidate<'_>]) -> Vec<u128> {
    let weight = |one: &Candidate<'_>| u128::from(one.weight.get());
    let share = |(index, one): (usize, &Candidate<'_>)| {
        let others = candidates.iter().enumerate().map(|(at, other)| {
            // Drawn twice, or of two equals the first one drawn: once. Against a busier one: always.
            match load(one, other).cmp(&load(other, one)) {
                _ if at == index => weight(other),
                std::cmp::Ordering::Less => 2 * weight(other),
                std::cmp::Ordering::Equal => weight(other),
                std::cmp::Ordering::Greater => 0,
            }
        });
        weight(one) * others.sum::<u128>()
    };
    candidates.iter().enumerate().map(share).collect()
}

/// A number that is smaller than the same for the two swapped if the first has fewer connections
/// for its weight.
fn load(one: &Candidate<'_>, other: &Candidate<'_>) -> u128 {
    u128::from(one.connections) * u128::from(other.weight.get())
}
