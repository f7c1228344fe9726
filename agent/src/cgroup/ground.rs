//! Where the cgroups of a daemon's instances lie: in a place that outlives the daemon.
//!
//! Owns a folder `apps`, below which instances are born ([`Ground::apps`]), and a folder `keepers`
//! for processes of the daemon that outlive it with them. Invariant: both stay as long as a process
//! is in or below them, whatever becomes of the daemon, and go with the daemon else. Never moves the
//! daemon.
//!
//! They are not in the daemon's own unit, even if that is delegated. systemd starts a service in
//! the unit's own cgroup, and while that hands controllers down, to apps that are left from before,
//! the kernel lets no process in: the daemon would never start again (219/CGROUP), unless its unit
//! has a `DelegateSubgroup=` (systemd 254). So they are in a scope, or below such a unit.

use std::fs;
use std::path::{Path, PathBuf};

use super::scope::{self, Scope};
use super::{CgroupError, Cgroups, Controller, Place, controllers};

/// The ground, while its daemon runs.
#[derive(Debug)]
pub struct Ground {
    root: PathBuf,
    _scope: Option<Scope>,
}

impl Ground {
    /// Make it, or find it as an earlier daemon left it. `name` is this daemon's alone on the host,
    /// and the same after a restart: that of its scope. `None` where this caller may make no
    /// cgroups. For a process with one thread.
    ///
    /// # Errors
    /// [`CgroupError`].
    pub fn settle(name: &str, cgroups: &Cgroups) -> Result<Option<Ground>, CgroupError> {
        let (above, root, scope) = match cgroups.limited.as_ref().or(cgroups.plain.as_ref()) {
            None => return Ok(None),
            Some(Place::Below(parent)) => (parent.clone(), parent.join(name), None),
            Some(Place::Scope) => {
                let scope = scope::join(name, "apps of hostd")?;
                (scope.path.clone(), scope.path.clone(), Some(scope))
            }
        };
        let ground = Ground { root, _scope: scope };
        for folder in [ground.apps(), ground.keepers()] {
            fs::create_dir_all(&folder).map_err(|error| CgroupError::Make(folder, error))?;
        }
        controllers::delegate(&above, &ground.apps(), &Controller::ALL);
        Ok(Some(ground))
    }

    /// The folder below which instances are born: see [`crate::plan::HostFacts::below`].
    pub fn apps(&self) -> PathBuf {
        self.root.join("apps")
    }

    /// The cgroup for processes of the daemon that outlive it.
    pub fn keepers(&self) -> PathBuf {
        self.root.join("keepers")
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // The kernel keeps one that has processes, and with it those above.
        for folder in [&self.apps(), &self.keepers(), &self.root] {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Whether a process is in a cgroup or below it.
pub(super) fn is_inhabited(folder: &Path) -> bool {
    let events = fs::read_to_string(folder.join("cgroup.events")).unwrap_or_default();
    events.lines().any(|line| line == "populated 1")
}
