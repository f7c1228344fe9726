//! Who is at the other end of a connection, and what they may do.
//!
//! Invariant: a peer is who the kernel says it is (SO_PEERCRED of unix(7)); the user that hostd
//! runs as may do everything, anybody else what the host policy says, and without a word of it
//! nothing.

use manifest_spec::names::AppName;
use manifest_spec::policy::{Caller, HostPolicy, Verb};

use crate::accounts::{self, Group};
use crate::audit::Actor;
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
    pub groups: Vec<Group>,
}

impl Peer {
    /// The peer with these credentials, by the names that the host's files have for them.
    pub fn new(uid: u32, gid: u32, pid: i32, groups: Vec<u32>) -> Peer {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let user = accounts::user(&read("/etc/passwd"), uid);
        let groups = accounts::groups(&read("/etc/group"), [gid].into_iter().chain(groups));
        Peer { uid, gid, pid, user, groups }
    }

    /// As a person reads it: the user's name, or its number.
    pub fn name(&self) -> String {
        self.user.clone().unwrap_or_else(|| format!("uid {}", self.uid))
    }

    /// As the audit log names it.
    pub fn actor(&self) -> Actor {
        Actor { uid: self.uid, gid: self.gid, pid: self.pid, user: self.user.clone() }
    }

    /// Whether hostd does as it says without asking the policy.
    pub fn is_owner(&self) -> bool {
        self.uid == 0 || self.uid == host_sys::creds::effective().0
    }

    /// Whether it may do this to an app.
    pub fn may(&self, policy: &HostPolicy, app: &AppName, verb: Verb) -> bool {
        let caller = Caller { uid: self.uid, user: self.user.as_deref(), groups: &self.groups };
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
