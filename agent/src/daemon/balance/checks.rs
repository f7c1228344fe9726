//! Whether backends that operators added answer.
//!
//! Invariant: one question at a time to each; a backend that is removed is asked nothing more. What
//! speaks UDP can't be asked without knowing its protocol: it counts as answering.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::said::Said;
use crate::daemon::event::Event;

/// Between two questions, and how long one may take.
const EVERY: Duration = Duration::from_secs(2);
const WITHIN: Duration = Duration::from_secs(1);

/// So many failures in a row are more than a hiccup.
const FALL: u32 = 3;

/// Which backend of which service.
pub(in crate::daemon) type Which = (String, String);

/// Every backend that is asked.
#[derive(Debug, Default)]
pub(super) struct Checks(BTreeMap<Which, Check>);

#[derive(Debug)]
struct Check {
    target: SocketAddr,
    healthy: Option<bool>,
    task: Option<AbortHandle>,
}

impl Drop for Check {
    fn drop(&mut self) {
        self.task.iter().for_each(AbortHandle::abort);
    }
}

impl Checks {
    /// Ask these, and no others; of one that is new, `assumed` is known until it is asked.
    pub(super) fn ask<'a>(
        &mut self,
        all: impl Iterator<Item = (&'a Said, bool)>,
        assumed: Option<bool>,
        sender: &UnboundedSender<Event>,
    ) {
        let mut wanted = BTreeMap::new();
        for (said, datagram) in all {
            for (id, target) in &said.added {
                wanted.insert((said.name.clone(), id.clone()), (*target, datagram));
            }
        }
        self.0.retain(|which, check| {
            wanted.get(which).is_some_and(|(target, _)| *target == check.target)
        });
        for (which, (target, datagram)) in wanted {
            self.0.entry(which.clone()).or_insert_with(|| {
                let begin = || {
                    let task = watch(target, which, sender.clone());
                    tokio::task::spawn_local(task).abort_handle()
                };
                let healthy = if datagram { Some(true) } else { assumed };
                Check { target, healthy, task: (!datagram).then(begin) }
            });
        }
    }

    /// Whether a backend answers; `None` while that is not known.
    pub(super) fn healthy(&self, name: &str, id: &str) -> Option<bool> {
        self.0.get(&(name.to_owned(), id.to_owned()))?.healthy
    }

    /// Take in what was found out.
    pub(super) fn found(&mut self, which: &Which, healthy: bool) {
        if let Some(check) = self.0.get_mut(which) {
            check.healthy = Some(healthy);
        }
    }
}

async fn watch(target: SocketAddr, which: Which, sender: UnboundedSender<Event>) {
    let (mut told, mut failures) = (None, 0);
    loop {
        let answers = matches!(timeout(WITHIN, TcpStream::connect(target)).await, Ok(Ok(_)));
        failures = if answers { 0 } else { failures + 1 };
        // One that was never seen to answer is down at once.
        let found = answers || (told == Some(true) && failures < FALL);
        if told != Some(found) {
            told = Some(found);
            if sender.send(Event::Backend(which.clone(), found)).is_err() {
                return;
            }
        }
        sleep(EVERY).await;
    }
}
