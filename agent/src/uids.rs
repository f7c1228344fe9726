//! Which uid belongs to which app: an open-addressed hash table of symbolic links.
//!
//! `uids/1900012345 -> hello` says that uid 1900012345 is hello's. Invariant: a uid is claimed by
//! creating its link, which the file system does for one claimant only; links are never removed, so
//! a uid is never given to a second app (CVE-2019-3843) and every probe sequence stays whole.
//! Finding a known app costs one readlink(2).

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use host_sys::Errno;
use host_sys::file;
use manifest_spec::policy::UidRange;

use crate::store::{self, StoreError};

/// Why an app has no uid.
#[derive(Debug)]
pub enum UidError {
    /// The table can't be used.
    Store(StoreError),
    /// Every uid of the range belongs to some app.
    Exhausted(UidRange),
    /// The range's next free uid belongs to a user of this host.
    Taken(u32, String),
}

impl std::fmt::Display for UidError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            UidError::Store(error) => error.fmt(f),
            UidError::Exhausted(range) => {
                write!(f, "all {} uids from {} are given to apps", range.count, range.first)
            }
            UidError::Taken(uid, user) => {
                write!(
                    f,
                    "uid {uid} of hostctl's range is in use: it is user {user} in /etc/passwd"
                )
            }
        }
    }
}

impl std::error::Error for UidError {}

/// The table's directory below the state directory.
const TABLE: &[&str] = &["uids"];

/// The app's uid if it has one. Changes nothing.
///
/// # Errors
/// When the table may be somebody else's work.
pub fn find(state: &Path, range: UidRange, app: &str) -> Result<Option<u32>, UidError> {
    let table = store::existing(state, TABLE).map_err(UidError::Store)?;
    Ok(table.and_then(|table| look_up(table.as_fd(), range, app)))
}

fn look_up(table: BorrowedFd<'_>, range: UidRange, app: &str) -> Option<u32> {
    for uid in probes(range, app) {
        match owner(table, uid) {
            Some(owner) if owner == app => return Some(uid),
            Some(_) => {}
            None => return None,
        }
    }
    None
}

/// The app's uid, claimed now if it has none. `users` is the text of /etc/passwd.
///
/// # Errors
/// When the table can't be written, is full, or the uid is a user's.
pub fn claim(
    state: &Path,
    range: UidRange,
    app: &str,
    users: impl FnOnce() -> String,
) -> Result<u32, UidError> {
    let table = store::open(state, TABLE).map_err(UidError::Store)?;
    let users = users();
    for uid in probes(range, app) {
        match owner(table.as_fd(), uid) {
            Some(owner) if owner == app => return Ok(uid),
            Some(_) => continue,
            None => {}
        }
        if let Some(user) = user_of(&users, uid) {
            return Err(UidError::Taken(uid, user));
        }
        let failed = |errno| UidError::Store(StoreError::kernel(&state.join("uids"), errno));
        match file::make_link(table.as_fd(), &entry(uid), Path::new(app)) {
            // The link must outlive a power cut before the first file of this uid is written.
            Ok(()) => return file::sync(table.as_fd()).map(|()| uid).map_err(failed),
            // Somebody was faster: for this app, or for another with the same hash.
            Err(Errno::EEXIST) if owner(table.as_fd(), uid).as_deref() == Some(app) => {
                return Ok(uid);
            }
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    Err(UidError::Exhausted(range))
}

fn entry(uid: u32) -> PathBuf {
    PathBuf::from(uid.to_string())
}

/// Whose a uid is.
fn owner(table: BorrowedFd<'_>, uid: u32) -> Option<String> {
    let owner = file::read_link(table, &entry(uid)).ok()?;
    owner.into_os_string().into_string().ok()
}

/// Every uid of the range once, from the name's hash on (FNV-1a: stable for ever, so that a lost
/// table gives most apps their uids back).
fn probes(range: UidRange, app: &str) -> impl Iterator<Item = u32> {
    let hash = app.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let start = (hash % u64::from(range.count.max(1))) as u32;
    (0..range.count).map(move |step| range.first + (start + step) % range.count)
}

/// The user that has this uid, by passwd(5).
pub(crate) fn user_of(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("uids-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_uid_is_stable_and_belongs_to_one_app() {
        let (table, range) = (table("stable"), UidRange { first: 1_900_000_000, count: 8 });
        let apps = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let uids: Vec<_> = apps.map(|app| claim(&table, range, app, String::new).unwrap()).into();
        let distinct: std::collections::BTreeSet<_> = uids.iter().collect();
        assert_eq!(distinct.len(), apps.len());
        for (app, uid) in apps.iter().zip(&uids) {
            assert_eq!(claim(&table, range, app, String::new).unwrap(), *uid);
            assert_eq!(find(&table, range, app).unwrap(), Some(*uid));
        }
        let error = claim(&table, range, "late", String::new).unwrap_err();
        assert!(matches!(error, UidError::Exhausted(_)), "{error}");
        std::fs::remove_dir_all(table).unwrap();
    }

    #[test]
    fn a_uid_of_a_user_is_not_given_away() {
        let (table, range) = (table("taken"), UidRange { first: 4000, count: 1 });
        let users = || "root:x:0:0::/:/bin/sh\nbob:x:4000:4000::/:/bin/sh\n".to_owned();
        let error = claim(&table, range, "a", users).unwrap_err();
        assert!(matches!(error, UidError::Taken(4000, ref user) if user == "bob"), "{error}");
        assert_eq!(find(&table, range, "a").unwrap(), None);
        std::fs::remove_dir_all(table).unwrap();
    }

    #[test]
    fn claimants_at_the_same_time_never_share() {
        let (table, range) = (table("race"), UidRange { first: 5000, count: 16 });
        let claims: Vec<_> = (0..8)
            .flat_map(|_| (0..16).map(|app| format!("app{app}")))
            .map(|app| {
                let table = table.clone();
                std::thread::spawn(move || {
                    (app.clone(), claim(&table, range, &app, String::new).unwrap())
                })
            })
            .collect();
        let mut owners = std::collections::BTreeMap::new();
        for thread in claims {
            let (app, uid) = thread.join().unwrap();
            assert_eq!(owners.entry(uid).or_insert_with(|| app.clone()), &app);
        }
        assert_eq!(owners.len(), 16);
        std::fs::remove_dir_all(table).unwrap();
    }

    proptest! {
        #[test]
        fn probes_visit_the_range_once(app in "[a-z]{1,12}", first in 1000_u32..2_000_000_000, count in 1_u32..500) {
            let mut uids: Vec<_> = probes(UidRange { first, count }, &app).collect();
            uids.sort_unstable();
            prop_assert_eq!(uids, (first..first + count).collect::<Vec<_>>());
        }
    }
}
