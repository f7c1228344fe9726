//! Shares as numbers of slots, and slots in an order.

/// How many of `slots` each share gets: rounded down, and those with the largest remainders get one
/// more (Hamilton's method), the first of equals first. So each is met within one slot.
pub(super) fn quotas(shares: &[u128], slots: usize) -> Vec<usize> {
    let total: u128 = shares.iter().sum();
    if total == 0 {
        return vec![0; shares.len()];
    }
    // Numbers this large are out of any policy's reach; halving keeps what they are to one another.
    if total > u128::MAX / slots as u128 {
        return quotas(&shares.iter().map(|share| share.div_ceil(2)).collect::<Vec<_>>(), slots);
    }
    let exact = |share: &u128| share * slots as u128;
    let mut quotas: Vec<usize> =
        shares.iter().map(|share| (exact(share) / total) as usize).collect();
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(exact(&shares[*index]) % total));
    let missing = slots - quotas.iter().sum::<usize>();
    order.into_iter().take(missing).for_each(|index| quotas[index] += 1);
    quotas
}

/// Whether so many slots meet each share to an eighth of it.
pub(super) fn are_precise(shares: &[u128], slots: usize) -> bool {
    let total: u128 = shares.iter().sum();
    let quotas = quotas(shares, slots);
    shares.iter().zip(quotas).all(|(share, quota)| {
        let exact = share.saturating_mul(slots as u128);
        let found = total.saturating_mul(quota as u128);
        found.abs_diff(exact) <= exact / 8
    })
}

/// Slots in an order that spreads those of each evenly: each turn everybody gains its quota, the
/// richest is next and pays for all (as nginx does, smooth weighted round robin).
pub(super) fn smooth(quotas: &[usize]) -> Vec<usize> {
    let total: usize = quotas.iter().sum();
    let mut gained = vec![0_i64; quotas.len()];
    let mut order = Vec::with_capacity(total);
    for _ in 0..total {
        gained.iter_mut().zip(quotas).for_each(|(gained, quota)| *gained += *quota as i64);
        // The first of equals.
        let next = (0..quotas.len()).rev().max_by_key(|index| gained[*index]).unwrap_or_default();
        gained[next] -= total as i64;
        order.push(next);
    }
    order
}
