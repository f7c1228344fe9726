//! What happened, in order, for whoever asks and whoever follows.
//!
//! Invariant: numbers rise by one and are never given twice by one hostd; bounded: the oldest go
//! first. A follower that does not keep up misses events and can see that by their numbers.

use std::collections::VecDeque;
use std::time::Duration;

use manifest_spec::api::{Event, EventKind};
use tokio::sync::broadcast;

use crate::keep::assignment::Name;

/// Events that are kept.
const KEPT: usize = 10_000;

/// Events a follower may be behind.
const BEHIND: usize = 1024;

/// Everything that is remembered.
#[derive(Debug)]
pub struct Chronicle {
    events: VecDeque<Event>,
    next: u64,
    followers: broadcast::Sender<Event>,
    clock: fn() -> Duration,
}

/// Whom an event is about.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The app.
    pub app: String,
    /// The service, if it is about one.
    pub service: Option<String>,
    /// The instance, if it is about one.
    pub instance: Option<String>,
    /// The version it belongs to.
    pub version: Option<u32>,
}

impl About {
    /// An app as a whole.
    pub fn app(app: &str, version: u32) -> About {
        About { app: app.to_owned(), version: Some(version), ..About::default() }
    }

    /// An instance.
    pub fn instance(name: &Name, version: u32) -> About {
        About {
            app: name.app.clone(),
            service: Some(name.service.clone()),
            instance: Some(name.to_string()),
            version: Some(version),
        }
    }
}

impl Chronicle {
    /// An empty one; its numbers begin above those that an earlier hostd gave in this boot.
    pub fn new(clock: fn() -> Duration) -> Chronicle {
        let (followers, _) = broadcast::channel(BEHIND);
        // Microseconds since 1970: no hostd writes a million events a second for its whole life.
        let next = clock().as_micros() as u64;
        Chronicle { events: VecDeque::new(), next, followers, clock }
    }

    /// Write an event down and tell it to the followers.
    pub fn add(&mut self, about: About, kind: EventKind, text: impl Into<String>) {
        let event = Event {
            seq: self.next,
            at_ms: (self.clock)().as_millis() as u64,
            app: Some(about.app).filter(|app| !app.is_empty()),
            service: about.service,
            instance: about.instance,
            version: about.version,
            kind,
            text: text.into(),
        };
        self.next += 1;
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        // Nobody follows: that is no failure.
        let _ = self.followers.send(event.clone());
        self.events.push_back(event);
    }

    /// The number that the next event gets.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// What is remembered from a number on, of one app or of all.
    pub fn since(&self, seq: u64, app: Option<&str>) -> Vec<Event> {
        let wanted = |event: &&Event| {
            event.seq >= seq && app.is_none_or(|app| event.app.as_deref() == Some(app))
        };
        self.events.iter().filter(wanted).cloned().collect()
    }

    /// What comes from now on.
    pub fn follow(&self) -> broadcast::Receiver<Event> {
        self.followers.subscribe()
    }
}
