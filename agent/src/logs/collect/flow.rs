//! One output stream of a program on its way into the log.
//!
//! Invariant: what leaves the program's pipe is in the back pipe; what leaves that is in the log, or
//! counted as lost there, and was shown if somebody looks; in between, the state says how far it is.
//! The state is written between two batches of different streams, so the last record of the log and
//! the state together say what of each stream is in records. Never waits.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use host_sys::pipe;
use host_sys::poll::Interest;
use manifest_spec::log::LogRecord;

use super::back::{Back, Filled, Lens};
use super::batch::Batch;
use super::log::Log;
use super::shown::Shown;
use super::state::{Drain, Ledger, Progress};
use crate::logs::route::Counters;
use crate::logs::shape::{Draft, Part, Settings, Shaper, Stream};
use crate::logs::stamp::precisely;

/// How long an open stack trace waits for its next line.
const SILENCE: Duration = Duration::from_millis(200);
/// Pieces that what is unfinished may come in before it is put aside. A pipe has a place for each
/// piece, and few of them; and what is unfinished is looked at again with each.
const PIECES: u32 = 16;

/// What all streams are worked with.
#[derive(Debug)]
pub(super) struct Works {
    pub(super) log: Log,
    pub(super) ledger: Ledger,
    pub(super) lens: Lens,
    pub(super) batch: Batch,
    pub(super) clock: fn() -> Duration,
    pub(super) counters: Arc<Counters>,
}

/// What a stream is made of.
#[derive(Debug)]
pub(super) struct Ends {
    /// The program's pipe.
    pub(super) front: OwnedFd,
    pub(super) back: Back,
    pub(super) shown: Option<Shown>,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Flow {
    /// Its place in the state.
    place: usize,
    front: OwnedFd,
    back: Back,
    shown: Option<Shown>,
    shaper: Shaper,
    /// From so many bytes on, the program's pipe counts as full: a place of it that is not full of
    /// bytes is taken all the same.
    full: u64,
    /// Offset behind the last byte that has left the program's pipe.
    filled: u64,
    /// Offset of the first byte that was not looked at.
    seen: u64,
    /// Offset of the first byte that the shaper has not got.
    shaped: u64,
    recorded: u64,
    part: Option<u32>,
    /// Pieces of what is unfinished.
    pieces: u32,
    /// There is more than can be seen or moved until something of it is out of the way.
    crowded: bool,
    /// When something came last.
    heard: Instant,
    /// The program's pipe has ended.
    ended: bool,
    /// The shaper knows that.
    closed: bool,
}

impl Flow {
    /// Go on where the state and the last record of this start say that the stream is.
    pub(super) fn resume(
        stream: Stream,
        ends: Ends,
        settings: &Arc<Settings>,
        last: Option<&LogRecord>,
        works: &mut Works,
    ) -> io::Result<Flow> {
        let Ends { front, back, mut shown } = ends;
        let place = usize::from(stream == Stream::Error);
        let mut progress = works.ledger.state.streams[place];
        if let Some(drain) = progress.drain.take() {
            back.let_go(&works.lens, drain.left(back.holds()?))?;
        }
        let settings = Arc::clone(settings);
        let is_behind = |last: &&LogRecord| last.at.is_some_and(|at| at > progress.recorded);
        let shaper = match last.filter(is_behind) {
            Some(last) => {
                progress.recorded = last.at.unwrap_or_default();
                progress.part = next_part(last);
                Shaper::after(stream, settings, last)
            }
            None => {
                let place = standing_for(stream, progress);
                Shaper::after(stream, settings, &place)
            }
        };
        works.ledger.state.streams[place] = progress;
        if let Some(shown) = &mut shown {
            shown.resume(progress.shown);
        }
        let capacity = pipe::capacity(front.as_fd()).unwrap_or_default() as u64;
        Ok(Flow {
            place,
            full: capacity - capacity / 8,
            filled: progress.head + progress.aside + back.holds()?,
            seen: progress.head,
            shaped: progress.recorded,
            recorded: progress.recorded,
            part: progress.part,
            front,
            back,
            shown,
            shaper,
            pieces: 0,
            crowded: false,
            heard: Instant::now(),
            ended: false,
            closed: false,
        })
    }

    /// Whether everything is in the log, and nothing more can come.
    pub(super) fn is_over(&self) -> bool {
        self.closed && !self.is_waiting_to_show()
    }

    /// What to wait for.
    pub(super) fn interest(&self) -> Option<Interest<'_>> {
        match &self.shown {
            Some(shown) if shown.is_waiting() => Some(Interest { fd: shown.fd(), write: true }),
            _ if self.ended => None,
            _ => Some(Interest { fd: self.front.as_fd(), write: false }),
        }
    }

    /// When an open stack trace has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.shaper.is_holding_trace().then(|| self.heard + SILENCE)
    }

    /// Take everything there is a step further; whether there was anything.
    pub(super) fn turn(&mut self, works: &mut Works) -> io::Result<bool> {
        if let Some(shown) = &mut self.shown {
            shown.go_on();
        }
        let before = (self.filled, self.seen, self.recorded, self.closed);
        works.batch.begin(works.log.next_seq(), &precisely((works.clock)()));
        if !self.is_waiting_to_show() {
            self.fill(works)?;
            self.look(works)?;
        }
        let is_seen = self.seen == self.filled;
        if self.ended && is_seen && !self.closed {
            let Works { log, batch, .. } = works;
            self.shaper.end(&mut |draft| add(log, batch, draft));
            self.closed = true;
        } else if self.deadline().is_some_and(|at| at <= Instant::now()) {
            let Works { log, batch, .. } = works;
            self.shaper.expire(&mut |draft| add(log, batch, draft));
        }
        self.flush(works);
        self.advance(works)?;
        if !self.is_waiting_to_show() {
            self.make_room(works)?;
        }
        Ok(before != (self.filled, self.seen, self.recorded, self.closed))
    }

    fn is_waiting_to_show(&self) -> bool {
        self.shown.as_ref().is_some_and(Shown::is_waiting)
    }

    fn fill(&mut self, works: &Works) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        super::checkpoint();
        self.crowded = false;
        match self.back.fill(&self.front)? {
            Filled::Some(count) => {
                self.count_stall(count, &works.counters);
                self.filled += count;
                self.pieces += 1;
                self.heard = Instant::now();
            }
            Filled::Nothing => {}
            Filled::Full => self.crowded = true,
            Filled::Ended => self.ended = true,
        }
        super::checkpoint();
        Ok(())
    }

    /// A pipe that was full has made its writer wait.
    fn count_stall(&self, moved: u64, counters: &Counters) {
        if moved >= self.full {
            let waited = u64::try_from(self.heard.elapsed().as_millis()).unwrap_or(u64::MAX);
            counters.stalls.fetch_add(1, Ordering::Relaxed);
            counters.stalled_ms.fetch_add(waited, Ordering::Relaxed);
        }
    }

    /// Give the shaper what it has not got yet, and whoever looks as well.
    fn look(&mut self, works: &mut Works) -> io::Result<()> {
        let Progress { head, aside, .. } = works.ledger.state.streams[self.place];
        let front = head + aside;
        while self.seen < front && !self.is_waiting_to_show() {
            let (offset, most) = (self.seen - head, front - self.seen);
            let Works { log, lens, batch, .. } = works;
            let bytes = self.back.read_aside(lens, offset, most)?;
            let sight = Sight { log, batch, shaper: &mut self.shaper, shown: &mut self.shown };
            self.shaped = sight.take(bytes, self.seen, self.shaped);
            self.seen += bytes.len() as u64;
        }
        if self.seen < front || self.seen == self.filled {
            return Ok(());
        }
        let Works { log, lens, batch, .. } = works;
        let visible = front + self.back.look(lens, self.seen - front)?;
        self.crowded |= visible < self.filled;
        while !self.shown.as_ref().is_some_and(Shown::is_waiting) {
            let bytes = self.back.read(lens)?;
            if bytes.is_empty() {
                break;
            }
            let sight = Sight { log, batch, shaper: &mut self.shaper, shown: &mut self.shown };
            self.shaped = sight.take(bytes, self.seen, self.shaped);
            self.seen += bytes.len() as u64;
        }
        Ok(())
    }

    /// Write what was shaped.
    fn flush(&mut self, works: &mut Works) {
        let Works { log, batch, .. } = works;
        write(log, batch);
        if let Some(end) = batch.end.take() {
            self.recorded = end;
            self.part = batch.part;
        }
    }

    /// Note how far the stream is, and let go of what nobody needs any more.
    fn advance(&mut self, works: &mut Works) -> io::Result<()> {
        let mut progress = works.ledger.state.streams[self.place];
        let before = progress;
        progress.recorded = self.recorded;
        progress.part = self.part;
        let mut done = self.recorded;
        if let Some(shown) = &self.shown {
            progress.shown = shown.offset();
            done = done.min(shown.offset());
        }
        let front = progress.head + progress.aside;
        let mut count = 0;
        if done >= front && done > progress.head {
            count = done - front;
            (progress.head, progress.aside) = (done, 0);
            if count > 0 {
                progress.drain = Some(Drain { held: self.back.holds()?, count });
            }
            self.pieces = 0;
        }
        if progress == before {
            return Ok(());
        }
        self.note(progress, works)?;
        if before.aside > 0 && progress.aside == 0 {
            self.back.forget_aside()?;
        }
        self.drain(count, works)
    }

    /// Put what is unfinished out of the way of what comes after it.
    fn make_room(&mut self, works: &mut Works) -> io::Result<()> {
        let mut progress = works.ledger.state.streams[self.place];
        let front = progress.head + progress.aside;
        let looked = self.seen.saturating_sub(front);
        if looked == 0 || !(self.crowded || self.pieces > PIECES) {
            return Ok(());
        }
        let held = self.back.holds()?;
        let count = self.back.copy_aside(&mut works.lens, progress.aside, looked)?;
        progress.aside += count;
        progress.drain = (count > 0).then_some(Drain { held, count });
        self.pieces = 0;
        self.note(progress, works)?;
        self.drain(count, works)
    }

    fn note(&self, progress: Progress, works: &mut Works) -> io::Result<()> {
        works.ledger.state.streams[self.place] = progress;
        works.ledger.state.lost = works.log.lost();
        works.ledger.save()
    }

    fn drain(&self, count: u64, works: &mut Works) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.back.let_go(&works.lens, count)?;
        works.ledger.state.streams[self.place].drain = None;
        works.ledger.save()
    }
}

/// Where bytes of a stream go when they are first seen.
struct Sight<'a> {
    log: &'a mut Log,
    batch: &'a mut Batch,
    shaper: &'a mut Shaper,
    shown: &'a mut Option<Shown>,
}

impl Sight<'_> {
    /// Bytes from this offset on; the shaper has those up to `shaped` already. How far it then is.
    fn take(self, bytes: &[u8], offset: u64, shaped: u64) -> u64 {
        let Sight { log, batch, shaper, shown } = self;
        let known = usize::try_from(shaped.saturating_sub(offset)).unwrap_or(usize::MAX);
        let fresh = bytes.get(known..).unwrap_or_default();
        if !fresh.is_empty() {
            shaper.push(fresh, &mut |draft| add(log, batch, draft));
        }
        if let Some(shown) = shown {
            shown.show(bytes, offset);
        }
        shaped.max(offset + bytes.len() as u64)
    }
}

/// Add a record to a batch; one that is full is written.
fn add(log: &mut Log, batch: &mut Batch, draft: &Draft<'_>) {
    batch.add(draft);
    if batch.is_full() {
        write(log, batch);
    }
}

fn write(log: &mut Log, batch: &mut Batch) {
    if batch.records > 0 {
        log.write(&batch.lines, batch.records);
        batch.again(log.next_seq());
    }
}

/// The number of the next part, within a line that is too long for one record.
fn next_part(last: &LogRecord) -> Option<u32> {
    use manifest_spec::log::attribute::{LAST_PART, PART};
    let goes_on = last.attributes.get(LAST_PART).and_then(|last| last.as_bool()) == Some(false);
    let part = last.attributes.get(PART).and_then(|part| part.as_u64()).filter(|_| goes_on)?;
    u32::try_from(part + 1).ok()
}

/// A record that a stream can be gone on after, instead of one that was lost.
fn standing_for(stream: Stream, progress: Progress) -> LogRecord {
    let mut draft = Draft::plain(stream, "".into(), progress.recorded);
    let last = |number: u32| Part { number: number.saturating_sub(1), last: false };
    draft.attributes.part = progress.part.map(last);
    draft.record(0, "")
}
