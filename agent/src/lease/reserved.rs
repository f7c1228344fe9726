//! Leased ports and the kernel's ephemeral range: no outgoing connection is given one of them.
//!
//! Owns the entries of ours in `net.ipv4.ip_local_reserved_ports` (ip-sysctl of the kernel), which
//! counts for IPv6 and UDP too. Invariant: entries of others stay as they are; ours are written down
//! before they are made and after they are removed, so a kill between the two leaves none behind
//! for longer than until the next change. Without root nothing is done.

use std::fmt;
use std::fs;

use manifest_spec::policy::PortRange;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::LeaseError;
use super::key::Key;
use super::ledger::{Lease, Ledger};
use super::row::{self, Row};

const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Ports as ranges, ordered, apart from one another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ports(Vec<(u16, u16)>);

impl Ports {
    /// `80,8000-8010`, as the kernel writes it; what is no number is left out.
    fn parse(text: &str) -> Ports {
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        };
        Ports(text.split(',').filter_map(range).collect()).ordered()
    }

    fn ordered(mut self) -> Ports {
        self.0.retain(|(first, last)| first <= last);
        self.0.sort_unstable();
        let mut joined: Vec<(u16, u16)> = Vec::new();
        for (first, last) in self.0 {
            match joined.last_mut() {
                Some(before) if u32::from(first) <= u32::from(before.1) + 1 => {
                    before.1 = before.1.max(last);
                }
                _ => joined.push((first, last)),
            }
        }
        Ports(joined)
    }

    fn with(&self, other: &Ports) -> Ports {
        Ports(self.0.iter().chain(&other.0).copied().collect()).ordered()
    }

    fn without(&self, other: &Ports) -> Ports {
        let mut left = self.0.clone();
        for (from, to) in &other.0 {
            left = left
                .into_iter()
                .flat_map(|(first, last)| {
                    let below = (first, last.min(from.saturating_sub(1)));
                    let above = (first.max(to.saturating_add(1)), last);
                    let apart = last < *from || first > *to;
                    match apart {
                        true => vec![(first, last)],
                        false => [(first < *from, below), (last > *to, above)]
                            .into_iter()
                            .filter_map(|(is_left, range)| is_left.then_some(range))
                            .collect(),
                    }
                })
                .collect();
        }
        Ports(left).ordered()
    }

    /// Those within a range.
    fn within(&self, (from, to): (u16, u16)) -> Ports {
        let cut = |(first, last): &(u16, u16)| ((*first).max(from), (*last).min(to));
        Ports(self.0.iter().map(cut).collect()).ordered()
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// What has to be out of the ephemeral range while these leases are held: their ports, and as long
/// as there are any, the range that instances' ports come from.
fn wanted(rows: &[Row], range: PortRange, ephemeral: (u16, u16)) -> Ports {
    let port = |row: &Row| match row.key {
        Key::Port { number, .. } if row.is_alive() => Some((number, number)),
        _ => None,
    };
    let held = Ports(rows.iter().filter_map(port).collect()).ordered();
    match held.0.is_empty() {
        true => held,
        false => held.with(&Ports(vec![(range.first, range.last)])).within(ephemeral),
    }
}

impl Ledger {
    /// Reserve what is leased now, if `new` is to be reserved, and let go of what no longer is.
    ///
    /// # Errors
    /// When the ledger can't be used. A host that does not let the setting be changed has none.
    pub(super) fn reserve(&mut self, new: &[Lease], range: PortRange) -> Result<(), LeaseError> {
        let Some(ephemeral) = ephemeral().filter(|_| host_sys::creds::effective().0 == 0) else {
            return Ok(());
        };
        let path = self.path.clone();
        let failed = |error| LeaseError::from_sqlite(&path, error);
        let mut new = new.iter().filter_map(|lease| match lease.key {
            Key::Port { number, .. } => Some(number),
            _ => None,
        });
        let inside = |number: u16| (ephemeral.0..=ephemeral.1).contains(&number);
        let overlaps = range.first <= ephemeral.1 && ephemeral.0 <= range.last;
        // Mostly nothing is to be done, and that is found out without a look at all leases.
        match new.any(|number| inside(number) || overlaps) {
            true => self.settle(range, ephemeral).map_err(failed),
            false => Ok(()),
        }
    }

    /// Let go of what is no longer leased.
    ///
    /// # Errors
    /// As [`Ledger::reserve`].
    pub(super) fn unreserve(&mut self, range: PortRange) -> Result<(), LeaseError> {
        let path = self.path.clone();
        let failed = |error| LeaseError::from_sqlite(&path, error);
        match ephemeral() {
            None => Ok(()),
            Some(ephemeral) => self.settle(range, ephemeral).map_err(failed),
        }
    }

    /// Write down what will be ours; make it so; write down what is.
    fn settle(&mut self, range: PortRange, ephemeral: (u16, u16)) -> rusqlite::Result<()> {
        for last in [false, true] {
            let ours = ours(&self.db)?;
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tx.execute_batch(
                "CREATE TABLE IF NOT EXISTS reserved
                 (one INTEGER PRIMARY KEY CHECK (one = 1), ports TEXT NOT NULL) STRICT",
            )?;
            let now = Ports::parse(&fs::read_to_string(RESERVED).unwrap_or_default());
            let others = now.without(&ours);
            let mine = wanted(&row::all(&tx)?, range, ephemeral).without(&others);
            if last && fs::write(RESERVED, format!("{}\n", others.with(&mine))).is_err() {
                return Ok(());
            }
            let kept = if last { mine } else { mine.with(&ours) };
            let sql = "INSERT OR REPLACE INTO reserved VALUES (1, ?1)";
            tx.execute(sql, [kept.to_string()])?;
            tx.commit()?;
        }
        Ok(())
    }
}

/// Whether anything is reserved.
pub(super) fn is_any(db: &Connection) -> rusqlite::Result<bool> {
    Ok(!ours(db)?.0.is_empty())
}

fn ours(db: &Connection) -> rusqlite::Result<Ports> {
    // Preparing it fails where nothing was ever reserved: there is no such table then.
    let Ok(mut statement) = db.prepare("SELECT ports FROM reserved") else {
        return Ok(Ports::default());
    };
    let text: Option<String> = statement.query_row([], |row| row.get(0)).optional()?;
    Ok(text.map(|text| Ports::parse(&text)).unwrap_or_default())
}

fn ephemeral() -> Option<(u16, u16)> {
    let text = fs::read_to_string(EPHEMERAL).ok()?;
    let mut ends = text.split_whitespace().map(|end| end.parse().ok());
    Some((ends.next()??, ends.next()??))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ports() -> impl Strategy<Value = Ports> {
        prop::collection::vec((0_u16..40, 0_u16..6), 0..6).prop_map(|all| {
            Ports(all.into_iter().map(|(first, more)| (first, first + more)).collect()).ordered()
        })
    }

    fn set(ports: &Ports) -> BTreeSet<u16> {
        ports.0.iter().flat_map(|(first, last)| *first..=*last).collect()
    }

    proptest! {
        #[test]
        fn ranges_add_and_subtract_as_sets_do(one in ports(), two in ports(), from in 0_u16..40) {
            prop_assert_eq!(set(&one.with(&two)), &set(&one) | &set(&two));
            prop_assert_eq!(set(&one.without(&two)), &set(&one) - &set(&two));
            let inside = (from..=from + 7).collect();
            prop_assert_eq!(set(&one.within((from, from + 7))), &set(&one) & &inside);
            prop_assert_eq!(Ports::parse(&one.to_string()), one);
        }
    }

    #[test]
    fn the_ends_of_all_ports_are_no_special_case() {
        let all = Ports::parse("0-65535");
        assert_eq!(all.without(&Ports::parse("0,65535")).to_string(), "1-65534");
        assert_eq!(all.without(&all), Ports::default());
    }
}
