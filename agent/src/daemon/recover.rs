//! What an earlier hostd left: instances that run, and those that ended meanwhile.
//!
//! Invariant: an instance with a keeper is taken over as it is, never started again; one without is
//! known to have ended, with its keeper's last words. Which is which, the folder's lock tells.

use std::time::Duration;

use manifest_spec::api::EventKind;

use super::chronicle::About;
use super::hearing::ending_of;
use super::keeper;
use super::live::{self, Live};
use super::services::Service;
use super::world::World;
use crate::keep::assignment::{self, Assignment, Name};
use crate::keep::folder::{Folder, Remembered};
use crate::store::StoreError;
use crate::supervise::instance::{Ending, Happening, Instance, Memory, State};

impl World {
    /// Take over every instance that has a folder.
    ///
    /// # Errors
    /// When the folders can't be looked at: nothing must be started then.
    pub fn recover(&mut self) -> Result<(), StoreError> {
        for folder in Folder::all(&self.directories, &self.place)? {
            match folder.assignment() {
                Ok(Some(assignment)) if assignment.v == assignment::VERSION => {
                    self.take_over(folder, assignment);
                }
                _ => self.unreadable(folder),
            }
        }
        Ok(())
    }

    /// A folder without an assignment: its hostd was killed before it had one written. If nobody
    /// has the lock there is no instance either.
    fn unreadable(&mut self, folder: Folder) {
        let path = folder.path().to_owned();
        match folder.lock() {
            Ok(Some(_lock)) => drop(folder.remove()),
            _ => {
                let text =
                    format!("{} has a keeper that this hostd does not understand", path.display());
                self.chronicle.add(About::default(), EventKind::Warning, text);
            }
        }
    }

    fn take_over(&mut self, folder: Folder, assignment: Assignment) {
        let name = assignment.name.clone();
        let mark = self.mark(&name);
        let memory = folder.memory().ok().flatten();
        let status = folder.status().ok().flatten();
        let lives = !matches!(folder.lock(), Ok(Some(_)));
        if !lives && status.is_none() {
            // Its hostd was killed before it had a keeper: nothing of it ever ran.
            drop(folder.remove());
            return;
        }
        let path = folder.file("control");
        let memory = recalled(memory, self.now_ms());
        let (now, jitter) = (self.now(), self.jitter());
        let known = self
            .apps
            .get(&name.app)
            .and_then(|app| app.service(assignment.version, &name.service))
            .cloned();
        let timing = known.as_ref().map(live::timing).unwrap_or_default();
        let mut live = match &known {
            Some(service) => {
                Live::new(name.clone(), assignment.version, assignment.generation, service, now)
            }
            None => Live::new(
                name.clone(),
                assignment.version,
                assignment.generation,
                &unknown(&name),
                now,
            ),
        };
        live.serial = mark.serial;
        live.fingerprint = assignment.fingerprint;
        live.ports = assignment.ports;
        live.instance = Instance::adopt(timing, memory, now, jitter);
        live.folder = Some(folder);
        let said = status.as_ref().map(|status| ending_of(&status.phase));
        if let Some(status) = &status {
            live.own = status.own;
            live.tail.clone_from(&status.last_lines);
        }
        if let Some(service) = &known {
            live.look_for_ipv6(service);
        }
        let was_alive = live.instance.is_alive();
        self.live.insert(name.clone(), live);
        let about = About::instance(&name, assignment.version);
        if lives {
            self.chronicle.add(about, EventKind::Adopted, "taken over from an earlier hostd");
            tokio::task::spawn_local(keeper::find(path, mark, self.sender.clone()));
        } else if was_alive {
            let ending = said.unwrap_or(Ending::KeeperLost);
            self.chronicle.add(about, EventKind::Ended, format!("while no hostd ran: {ending}"));
            self.happen(&name, Happening::Ended(ending));
        }
    }

    /// Put on disk what changed in the memory of instances.
    pub(super) fn write_memories(&mut self) {
        let (now, now_ms) = (self.now(), self.now_ms());
        for name in std::mem::take(&mut self.unwritten) {
            let Some(live) = self.live.get(&name) else { continue };
            let Some(folder) = &live.folder else { continue };
            let memory = live.instance.memory(now);
            let remembered = Remembered {
                state: memory.state.name().to_owned(),
                since_ms: now_ms.saturating_sub(memory.age.as_millis() as u64),
                failures: memory.failures,
                restarts: memory.restarts,
                ever_ready: memory.ever_ready,
                reason: memory.reason,
            };
            // Without it the next hostd takes the instance for a fresh one, no more.
            let _ = folder.remember(&remembered);
        }
    }
}

/// What an earlier hostd knew of an instance; one of which it wrote nothing was just being started.
fn recalled(memory: Option<Remembered>, now_ms: u64) -> Memory {
    let fresh = Memory {
        state: State::Starting,
        age: Duration::ZERO,
        failures: 0,
        restarts: 0,
        ever_ready: false,
        reason: None,
    };
    let Some(memory) = memory else { return fresh };
    Memory {
        state: State::named(&memory.state).unwrap_or(State::Starting),
        age: Duration::from_millis(now_ms.saturating_sub(memory.since_ms)),
        failures: memory.failures,
        restarts: memory.restarts,
        ever_ready: memory.ever_ready,
        reason: memory.reason,
    }
}

/// Stands for a service that no version knows any more.
fn unknown(name: &Name) -> Service {
    Service::nothing(&name.service)
}
