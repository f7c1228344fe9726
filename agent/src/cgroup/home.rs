//! An instance's cgroup, ready for its first process: in its place, with its limits in force.
//!
//! Invariant: whatever fails, what was made before is undone. Never starts a process of the
//! instance.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use super::scope::{self, Scope};
use super::{Cgroup, CgroupError, Place, controllers, limits};
use crate::lease::holder::Process;
use crate::plan::{PlannedCgroup, PlannedLimits};

/// A cgroup and what it is in. Dropped after the last process in it, it leaves nothing.
#[derive(Debug)]
pub struct Home {
    cgroup: Cgroup,
    /// What systemd made it in, until the instance is in it.
    scope: Option<Scope>,
}

impl Home {
    /// Make it for an instance of this process, by its name in messages.
    ///
    /// # Errors
    /// Nothing is to be started then.
    pub fn make(
        planned: &PlannedCgroup,
        limits: &PlannedLimits,
        instance: &str,
    ) -> Result<Home, CgroupError> {
        let process = Process::of(host_sys::process::pid()).ok_or(CgroupError::NotMounted)?;
        let (parent, scope) = match &planned.place {
            Place::Below(parent) => (parent.clone(), None),
            Place::Scope => {
                let name = format!("hostctl-{instance}-{}", process.pid);
                let scope = scope::start(&name, &format!("hostctl run: {instance}"))?;
                (scope.path.clone(), Some(scope))
            }
        };
        if !planned.controllers.is_empty() {
            scope.iter().try_for_each(Scope::make_room)?;
            controllers::enable(&parent, &planned.controllers)?;
        }
        let cgroup = Cgroup::make(&parent, instance, process)?;
        limits::write(cgroup.path(), &limits::lines(limits, &planned.controllers))?;
        Ok(Home { cgroup, scope })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.cgroup.path()
    }

    /// Its first process is there, and keeps the scope from now on.
    pub fn inhabited(&mut self) {
        if let Some(scope) = self.scope.take() {
            scope.release();
        }
    }
}

impl AsFd for Home {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.cgroup.as_fd()
    }
}
