//! An instance's cgroup, ready for its first process: in its place, with its limits in force.
//!
//! Invariant: whatever fails, what was made before is undone. Never starts a process of the
//! instance.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use super::scope::{self, Scope};
use super::{Cgroup, CgroupError, Controller, Place, controllers, limits};
use crate::lease::holder::Process;
use crate::plan::{PlannedCgroup, PlannedLimits};

/// A cgroup and what it is in. Dropped after the last process in it, it leaves nothing.
#[derive(Debug)]
pub struct Home {
    cgroup: Cgroup,
    /// What systemd made it in, as long as hostctl keeps that.
    scope: Option<Scope>,
    /// Whether it tells of the instance's end what nobody else does.
    is_read_last: bool,
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
        let is_read_last = planned.controllers.contains(&Controller::Memory);
        Ok(Home { cgroup, scope, is_read_last })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.cgroup.path()
    }

    /// Its first process is there, and keeps the scope from now on. But where the kernel may end
    /// all of it for want of memory, hostctl keeps it too: systemd removes a scope with its last
    /// process, before anybody could read why that ended.
    pub fn inhabited(&mut self) {
        if let Some(scope) = self.scope.take_if(|_| !self.is_read_last) {
            scope.release();
        }
    }
}

impl AsFd for Home {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.cgroup.as_fd()
    }
}
