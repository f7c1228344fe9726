//! Where the cgroups of instances are made on this host, and what can be limited there.
//!
//! Invariant: looking changes nothing; the same view gives the same answer. What another owns is
//! left alone: below a cgroup of systemd's only what it has handed over is used.
//!
//! Limits need a place that hands controllers down, which a cgroup with processes never does, and
//! hostctl's own has one. So there are two answers: for an instance that is only to be held to its
//! ports and destinations, and for one with limits.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use super::controllers::{Controller, Folder};
use super::folder;

/// Where one cgroup is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Below this folder.
    Below(PathBuf),
    /// In a scope that systemd makes for it.
    Scope,
}

/// The places of this host, for this caller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cgroups {
    /// Where one without limits is made.
    pub plain: Option<Place>,
    /// Where one with limits is made.
    pub limited: Option<Place>,
    /// What can be limited there.
    pub controllers: Vec<Controller>,
    /// Why the others can't, by controller.
    pub lacks: Vec<(Controller, Lack)>,
}

/// Why nothing can be limited by a controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lack {
    /// No cgroup v2 hierarchy is mounted.
    NotMounted,
    /// A hierarchy of cgroup v1 has the controller.
    OfV1,
    /// No hierarchy in sight has it.
    NotOffered,
    /// This cgroup has processes, or does not hand the controller down.
    Withheld(PathBuf),
    /// The caller is not root, and was given no cgroup.
    NotDelegated,
}

impl Lack {
    /// What is wrong, as part of a sentence.
    pub fn reason(&self, controller: Controller) -> String {
        let name = controller.name();
        match self {
            Lack::NotMounted => "no cgroup v2 hierarchy is mounted".to_owned(),
            Lack::OfV1 => format!("the host's {name} controller is one of cgroup v1"),
            Lack::NotOffered => format!("cgroup v2 has no {name} controller here"),
            Lack::Withheld(path) => {
                format!("the cgroup {} can't hand down the {name} controller", path.display())
            }
            Lack::NotDelegated => "without root, and no cgroup was left to you".to_owned(),
        }
    }

    /// What to do about it.
    pub fn remedy(&self, controller: Controller) -> &'static str {
        match (self, controller) {
            (Lack::NotMounted, _) => {
                "mount cgroup2, or boot with systemd.unified_cgroup_hierarchy=1"
            }
            (Lack::OfV1, _) => {
                "boot with systemd.unified_cgroup_hierarchy=1, or with cgroup_no_v1=all"
            }
            (Lack::NotOffered, Controller::Memory) => {
                "boot with cgroup_enable=memory, or a kernel with CONFIG_MEMCG"
            }
            (Lack::NotOffered, Controller::Cpu) => "boot a kernel with CONFIG_CFS_BANDWIDTH",
            (Lack::NotOffered, Controller::Pids) => "boot a kernel with CONFIG_CGROUP_PIDS",
            (Lack::NotOffered, Controller::Io) => "boot a kernel with CONFIG_BLK_CGROUP",
            (Lack::Withheld(_), _) => "move its processes to a cgroup below it",
            (Lack::NotDelegated, _) => {
                "run it as root, or in a unit with Delegate=yes and DelegateSubgroup=hostctl"
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Below(path) => write!(f, "below {}", path.display()),
            Place::Scope => f.write_str("in scopes of systemd's"),
        }
    }
}

impl Cgroups {
    /// Look where this process may make cgroups. `systemd`: whether it runs the host.
    pub fn look(is_root: bool, systemd: bool) -> Cgroups {
        let Some((own, top)) = folder::own() else { return decide(None, is_root, systemd, &[]) };
        let above = own.parent().filter(|above| above.starts_with(&top) && own != top);
        let view = View {
            above: above.map(Folder::look),
            top: (own != top).then(|| Folder::look(&top)),
            own: Folder::look(&own),
        };
        decide(Some(view), is_root, systemd, &of_v1())
    }

    /// Why nothing can be limited by a controller; `None` if it can be.
    pub fn lack(&self, controller: Controller) -> Option<&Lack> {
        self.lacks.iter().find(|(one, _)| *one == controller).map(|(_, lack)| lack)
    }
}

/// The cgroups around this process.
#[derive(Debug, Clone)]
struct View {
    /// Its own.
    own: Folder,
    /// The one above that.
    above: Option<Folder>,
    /// The uppermost in sight, if that is another.
    top: Option<Folder>,
}

/// Controllers that hierarchies of cgroup v1 have, by proc_pid_cgroup(5).
fn of_v1() -> Vec<Controller> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split(':').nth(1));
    let names: Vec<_> = names.flat_map(|names| names.split(',')).collect();
    Controller::ALL.into_iter().filter(|one| names.contains(&one.v1_name())).collect()
}

fn others(controllers: &[Controller]) -> impl Iterator<Item = Controller> {
    Controller::ALL.into_iter().filter(|one| !controllers.contains(one))
}

fn decide(view: Option<View>, is_root: bool, systemd: bool, of_v1: &[Controller]) -> Cgroups {
    let Some(view) = view else {
        let lacks = Controller::ALL.map(|one| (one, Lack::NotMounted)).into();
        return Cgroups { lacks, ..Cgroups::default() };
    };
    let top = view.top.as_ref().unwrap_or(&view.own);
    let mut limited: Option<(Place, Vec<Controller>)> = None;
    for (place, controllers) in candidates(&view, is_root, systemd) {
        // The first of those that give the most.
        if controllers.len() > limited.as_ref().map_or(0, |(_, best)| best.len()) {
            limited = Some((place, controllers));
        }
    }
    let plain = match systemd {
        _ if !is_root => None,
        false => Some(Place::Below(view.own.path.clone())),
        true => Some(left(&view).next().map_or(Place::Scope, |left| left.place())),
    };
    let (limited, controllers) = limited.unzip();
    let controllers = controllers.unwrap_or_default();
    let lack = |one| match () {
        () if of_v1.contains(&one) => Lack::OfV1,
        () if !top.offered.contains(&one) => Lack::NotOffered,
        () if !is_root && limited.is_none() => Lack::NotDelegated,
        () => Lack::Withheld(view.own.path.clone()),
    };
    let lacks = others(&controllers).map(|one| (one, lack(one))).collect();
    Cgroups { plain, limited, controllers, lacks }
}

/// Places for limits, the ones to be preferred first, with what can be limited there.
fn candidates(view: &View, is_root: bool, systemd: bool) -> Vec<(Place, Vec<Controller>)> {
    let found = |folder: &Folder| (folder.place(), folder.gives());
    let mut all = Vec::new();
    match systemd {
        true => all.extend(left(view).map(found)),
        // The kernel's way to delegate is to let somebody write to a cgroup's files.
        false => {
            all.extend([Some(&view.own), view.above.as_ref()].into_iter().flatten().map(found));
        }
    }
    let top = view.top.as_ref().unwrap_or(&view.own);
    match (is_root, systemd) {
        // What systemd has of controllers it hands down to whom it delegates to.
        (true, true) => all.push((Place::Scope, top.offered.clone())),
        // Nobody owns the host's cgroups there, and no other place could ever do: hostctl itself is
        // in its own.
        (true, false) => all.push(found(top)),
        (false, _) => {}
    }
    all
}

/// Cgroups that systemd has left to this process: that of its unit, or the one above where
/// DelegateSubgroup= has put it into one below (systemd.resource-control(5)).
fn left(view: &View) -> impl Iterator<Item = &Folder> {
    let is_unit = view
        .own
        .path
        .extension()
        .is_some_and(|kind| ["service", "scope", "slice"].iter().any(|unit| kind == *unit));
    let above = view.above.as_ref().filter(|_| !is_unit);
    [Some(&view.own), above].into_iter().flatten().filter(|folder| folder.is_delegated)
}

impl Folder {
    fn place(&self) -> Place {
        Place::Below(self.path.clone())
    }
}

#[cfg(test)]
mod tests;
