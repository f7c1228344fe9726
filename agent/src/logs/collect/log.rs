//! Lines on their way into the log of an instance: their numbers, and what becomes of them when the
//! disk takes no more.
//!
//! Invariant: every line that is handed over is in the log, or is counted in the record that stands
//! for it there before the next line does. Numbers of lost lines are given to no other.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use host_sys::Errno;
use manifest_spec::log::{LogRecord, Resource, Severity, attribute};
use manifest_spec::manifest::Full;

use super::bell::Bell;
use super::state::Lost;
use super::sync::Syncer;
use crate::logs::route::Counters;
use crate::logs::segment::{Bounds, Touched, Writer, drop_oldest, prune};
use crate::logs::shape::{Attributes, Draft, Stream, line};
use crate::logs::stamp::precisely;

/// How long a full disk is left alone by somebody who waits for it.
const PAUSE: Duration = Duration::from_millis(100);
/// How often is looked for what is too old, at least.
const PRUNED: Duration = Duration::from_secs(3600);

/// What is kept, and how.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// How much, and for how long.
    pub(crate) bounds: Bounds,
    /// A segment is full at this size, in bytes.
    pub(crate) segment: u64,
    /// What happens when the disk takes no more.
    pub(crate) full: Full,
    /// Whether what is written is brought to the disk, and not only to its file system.
    pub(crate) synced: bool,
    /// The time of day.
    pub(crate) clock: fn() -> Duration,
    /// Rung, nobody waits for the disk any more.
    pub(crate) bell: Rc<Bell>,
    /// What is counted.
    pub(crate) counters: Arc<Counters>,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    writer: Writer,
    policy: Policy,
    lost: Lost,
    syncer: Option<Syncer>,
    pruned: Duration,
}

impl Log {
    /// Go on with the log in this folder. With it, the last record of this start of the instance.
    pub(super) fn open(
        folder: &Path,
        resource: Resource,
        policy: Policy,
        mut lost: Lost,
    ) -> io::Result<(Log, Option<LogRecord>)> {
        let (writer, last) = Writer::open(folder, resource, policy.segment)?;
        if writer.next_seq() > lost.first {
            // The record that stands for them was written, and there was no time to note that.
            lost = Lost::default();
        }
        let syncer = policy.synced.then(|| Syncer::start(folder.to_owned())).transpose()?;
        let folder = folder.to_owned();
        super::checkpoint();
        let mut log = Log { folder, writer, policy, lost, syncer, pruned: Duration::ZERO };
        log.tend();
        Ok((log, last))
    }

    /// The number of the next record.
    pub(super) fn next_seq(&self) -> u64 {
        self.writer.next_seq() + self.lost.count
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The number of the last record in it; 0 if it never had one.
    pub(super) fn written(&self) -> u64 {
        self.writer.next_seq() - 1
    }

    /// What the log says nothing of yet.
    pub(super) fn lost(&self) -> Lost {
        self.lost
    }

    /// Take care of lines, so many records, numbered from [`Log::next_seq`] on.
    pub(super) fn write(&mut self, mut lines: &[u8], mut records: u64) {
        if !self.tell_lost() {
            self.lose(records);
            return;
        }
        loop {
            super::checkpoint();
            let written = self.writer.write(self.writer.next_seq(), lines, records);
            super::checkpoint();
            self.note(written.bytes);
            self.policy.counters.lines_in.fetch_add(written.records, Ordering::Relaxed);
            lines = &lines[written.bytes..];
            records -= written.records;
            let Some(error) = written.error else { return };
            if !self.make_room(&error) {
                let errno = error.raw_os_error().unwrap_or(Errno::EIO as i32);
                self.lost = Lost { first: self.writer.next_seq(), count: 0, errno };
                self.lose(records);
                return;
            }
        }
    }

    fn lose(&mut self, records: u64) {
        self.lost.count += records;
        self.policy.counters.lines_dropped.fetch_add(records, Ordering::Relaxed);
    }

    /// Say in the log what was lost, if anything was; whether nothing is left to be said.
    pub(super) fn tell_lost(&mut self) -> bool {
        let Lost { first, count, errno } = self.lost;
        if count == 0 {
            return true;
        }
        let seq = first + count - 1;
        let cause = Errno::from_raw(errno).desc().to_lowercase();
        let body = format!("{count} log records were lost: {cause}");
        let mut draft = Draft::plain(Stream::Agent, body.into(), 0);
        draft.severity = Severity::Warn;
        draft.attributes = lost_attributes(first, count, cause);
        let mut text = Vec::new();
        line::append(&mut text, seq, &precisely((self.policy.clock)()), &draft);
        loop {
            super::checkpoint();
            let written = self.writer.write(seq, &text, 1);
            super::checkpoint();
            self.note(written.bytes);
            let Some(error) = written.error else { break };
            if !self.make_room(&error) {
                return false;
            }
        }
        self.lost = Lost::default();
        true
    }

    /// Look for what is too old, now and then.
    pub(super) fn tend(&mut self) {
        let now = (self.policy.clock)();
        if now.abs_diff(self.pruned) >= PRUNED {
            self.prune(now);
        }
    }

    fn prune(&mut self, now: Duration) {
        self.pruned = now;
        let Policy { bounds, segment, .. } = self.policy;
        // What can't be deleted now is found again the next time.
        let _ = prune(&self.folder, bounds, segment, now);
    }

    /// Have what was written brought to the disk.
    fn note(&mut self, bytes: usize) {
        let Touched { files, begun } = self.writer.written();
        if files.is_empty() {
            return;
        }
        if let Some(syncer) = &self.syncer {
            syncer.hand_over(files, bytes as u64, begun);
        }
        if begun {
            self.prune((self.policy.clock)());
        }
    }

    /// Do what is to be done when the disk takes no more; whether to try again.
    fn make_room(&self, error: &io::Error) -> bool {
        let full =
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        match self.policy.full {
            Full::DropOldest => full && drop_oldest(&self.folder).unwrap_or(false),
            Full::DropNewest => false,
            Full::Block if self.policy.bell.was_rung() => false,
            Full::Block => {
                std::thread::sleep(PAUSE);
                true
            }
        }
    }
}

fn lost_attributes(first: u64, count: u64, cause: String) -> Attributes {
    let mut attributes = Attributes::new(Stream::Agent);
    attributes.fields.insert(attribute::GAP.to_owned(), count.into());
    attributes.fields.insert(attribute::GAP_FIRST.to_owned(), first.into());
    attributes.fields.insert(attribute::GAP_CAUSE.to_owned(), cause.into());
    attributes
}
