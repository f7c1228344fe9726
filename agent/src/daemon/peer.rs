//! Who is at the other end of a connection, and what they may do.
//!
//! Invariant: a peer is who the kernel says it is (SO_PEERCRED of unix(7)); the user that hostd
//! runs as may do everything, anybody else what the host policy says, and without a word of it
//! nothing.

use manifest_spec::names::AppName;
use manifest_spec::policy::{Caller, HostPolicy, Verb};

use crate::keep::assignment::Deployer;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// uid at the time the connection was made.
    pub uid: u32,
    /// gid at that time.
    pub gid: u32,
    /// Process number.
    pub pid: i32,
    /// The user's name, where it has one.
    pub user: Option<String>,
    /// Every group of the user, by number and, where it has one, name.
    pub groups: Vec<(u32, Option<String>)>,
}

impl Peer {
    /// The peer with these credentials, looked up in the host's users and groups.
    pub fn new(uid: u32, gid: u32, pid: i32) -> Peer {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let user = user_of(&read("/etc/passwd"), uid);
        let groups = groups_of(&read("/etc/group"), user.as_deref(), gid);
        Peer { uid, gid, pid, user, groups }
    }

    /// As a person reads it: the user's name, or its number.
    pub fn name(&self) -> String {
        self.user.clone().unwrap_or_else(|| format!("uid {}", self.uid))
    }

    /// Whether hostd does as it says without asking the policy.
    pub fn is_owner(&self) -> bool {
        self.uid == 0 || self.uid == host_sys::creds::effective().0
    }

    /// Whether it may do this to an app.
    pub fn may(&self, policy: &HostPolicy, app: &AppName, verb: Verb) -> bool {
        let caller =
            Caller { uid: self.uid, user: self.user.as_deref(), groups: &self.groups };
        self.is_owner() || policy.allows(&caller, app, verb)
    }

    /// Whose rights its deployments are judged by.
    pub fn deployer(&self) -> Option<Deployer> {
        (!self.is_owner()).then(|| Deployer {
            uid: self.uid,
            gid: self.gid,
            groups: self.groups.iter().map(|(gid, _)| *gid).collect(),
        })
    }
}

/// The name of a user in the lines of passwd(5).
fn user_of(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// The groups of a user in the lines of group(5), its own among them.
fn groups_of(group: &str, user: Option<&str>, gid: u32) -> Vec<(u32, Option<String>)> {
    let mut found = vec![(gid, None)];
    for line in group.lines() {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, number, members] = fields[..] else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        if number == gid {
            found[0].1 = Some(name.to_owned());
        } else if user.is_some_and(|user| members.split(',').any(|member| member == user)) {
            found.push((number, Some(name.to_owned())));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nalice:x:1000:\ndeploy:x:50:bob,alice\nbroken\nother:x:51:bob\n";

    #[test]
    fn users_and_their_groups_are_found() {
        assert_eq!(user_of(PASSWD, 1000).as_deref(), Some("alice"));
        assert_eq!(user_of(PASSWD, 7), None);
        let groups = groups_of(GROUP, Some("alice"), 1000);
        assert_eq!(groups, [(1000, Some("alice".into())), (50, Some("deploy".into()))]);
        assert_eq!(groups_of(GROUP, None, 7), [(7, None)]);
    }
}
