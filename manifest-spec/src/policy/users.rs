//! Who may do what to which app: `[[users]]`.
//!
//! Invariant: rules only add up; what no rule gives is refused. Names of users and groups are kept
//! as they are written: which numbers they have is the host's business, and the caller's to say.

use serde::Serialize;

use super::HostPolicy;
use crate::names::AppName;

/// One entry of `[[users]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserRule {
    /// Whom it is about.
    pub who: Who,
    /// App names, or `*` for all.
    pub apps: Vec<String>,
    /// What they may do to those.
    pub may: Vec<Verb>,
}

/// Whom a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// A user by number.
    Uid(u32),
    /// A user by name.
    User(String),
    /// Everyone in a group, by its number.
    Gid(u32),
    /// Everyone in a group, by its name.
    Group(String),
}

/// What may be done to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Run it in the foreground, as oneself.
    Run,
    /// See that it is there and how it is: ps, status, events. Whoever may control, deploy or exec
    /// may look, too.
    Look,
    /// Start, stop, restart and scale it.
    Control,
    /// Deploy, roll back and remove it; see its versions and what another would change, which shows
    /// what is deployed; read its logs, which can hold the same secrets, and say where they go.
    Deploy,
    /// Run a command inside it.
    Exec,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 5] = [Self::Run, Self::Look, Self::Control, Self::Deploy, Self::Exec];

    /// Whether who may do this may do `other`.
    fn covers(self, other: Self) -> bool {
        self == other || other == Self::Look && self != Self::Run
    }
}

/// Who asks, as the host knows them.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The user's number.
    pub uid: u32,
    /// The user's name, if there is one.
    pub user: Option<&'a str>,
    /// Every group the user is in, the own one among them: number, and name if there is one.
    pub groups: &'a [(u32, Option<String>)],
}

impl Who {
    fn is(&self, caller: &Caller<'_>) -> bool {
        match self {
            Self::Uid(uid) => *uid == caller.uid,
            Self::User(name) => caller.user == Some(name),
            Self::Gid(gid) => caller.groups.iter().any(|(number, _)| number == gid),
            Self::Group(name) => {
                caller.groups.iter().any(|(_, own)| own.as_deref() == Some(name.as_str()))
            }
        }
    }
}

impl UserRule {
    /// Whether it gives this of an app; a copy with a port offset counts as its app.
    fn gives(&self, app: &AppName, verb: Verb) -> bool {
        self.apps.iter().any(|name| name == "*" || name == app.base())
            && self.may.iter().any(|one| one.covers(verb))
    }
}

impl HostPolicy {
    /// Whether the caller may do this to the app. Without `[[users]]` anyone may run anything in
    /// the foreground, and nobody may do more. That root may do everything is the daemon's rule.
    #[must_use]
    pub fn allows(&self, caller: &Caller<'_>, app: &AppName, verb: Verb) -> bool {
        match &self.users {
            None => verb == Verb::Run,
            Some(rules) => rules.iter().any(|rule| rule.who.is(caller) && rule.gives(app, verb)),
        }
    }
}
