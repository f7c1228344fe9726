//! From an instance's pipes and sockets to its log.
//!
//! Owns the work of the logger's first thread. Invariant: whoever kills it when, each byte that the
//! program wrote is in one record, or counted in one that stands for lost ones; the program waits
//! only as long as the file system takes a piece, or as long as nobody collects. Pipes, sockets and
//! the folder in RUN are the holder's and outlive it; the log is the disk's.
//!
//! | module | owns |
//! | --- | --- |
//! | [`flow`] | an output stream, step by step |
//! | [`back`] | the pipe between the program's and the log |
//! | [`shown`] | a stream as whoever runs the program sees it |
//! | [`inbox`] | what comes as messages |
//! | [`batch`] | records on their way to the file |
//! | [`log`] | the log, its bounds, and a full disk |
//! | [`sync`] | the way from the file system to the disk |
//! | [`state`] | how far everything is, in a file |
//! | [`bell`] | whether somebody wants this process to end |

mod back;
mod batch;
mod bell;
mod flow;
mod inbox;
mod log;
mod shown;
mod state;
mod sync;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_sys::poll::Interest;
use manifest_spec::log::{LogRecord, Resource, attribute};

use self::back::{Back, Lens};
use self::batch::Batch;
use self::flow::{Ends, Flow, Works};
use self::inbox::{Inbox, Meaning};
use self::log::Log;
use self::shown::Shown;
use self::state::{Ledger, StateFile};
use super::shape::{Draft, Settings, Stream};
use super::wire::{AgentRecord, Order};

pub(super) use self::bell::{Bell, HURRY};
pub(super) use self::log::Policy;

/// What a program may write before it waits for a collector, in bytes: it is not to stand still
/// because that has something else to do for a moment.
pub(super) const ROOM: i32 = 1024 * 1024;
/// How often it is tried to say what was lost, at most.
const AGAIN: Duration = Duration::from_secs(1);

/// One stream's pipes.
#[derive(Debug)]
pub(super) struct Pipes {
    /// The program's, to be read.
    pub(super) front: OwnedFd,
    /// Both ends of the one behind it.
    pub(super) back: [OwnedFd; 2],
    /// Where it is shown.
    pub(super) shown: Option<OwnedFd>,
}

/// What is collected from.
#[derive(Debug)]
pub(super) struct Sources {
    /// Standard output and error.
    pub(super) streams: [Pipes; 2],
    /// Where syslog and the journal are, for the program.
    pub(super) socket: Option<OwnedFd>,
    /// Where the holder speaks.
    pub(super) line: OwnedFd,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Collector {
    flows: [Flow; 2],
    socket: Option<Inbox>,
    line: Inbox,
    settings: Arc<Settings>,
    works: Works,
    /// When it is tried again to say what was lost.
    again: Instant,
    /// It has done nothing yet.
    is_fresh: bool,
}

/// Begin anew in an instance's folder below RUN, for another start.
pub(super) fn renew(run: &Path) -> io::Result<()> {
    StateFile::renew(run)?;
    for stream in [Stream::Output, Stream::Error] {
        match std::fs::remove_file(aside(run, stream)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Forget what there was to be known in an instance's folder below RUN, but for what was lost and
/// nobody could say yet.
pub(super) fn forget(run: &Path) -> io::Result<()> {
    renew(run)?;
    let lost = StateFile::open(run)?.read()?.lost;
    if lost.count == 0 { StateFile::remove(run) } else { Ok(()) }
}

/// Whether something of a stream is kept beside its pipes.
pub(super) fn is_aside(run: &Path, stream: Stream) -> bool {
    std::fs::metadata(aside(run, stream)).is_ok_and(|metadata| metadata.len() > 0)
}

fn aside(run: &Path, stream: Stream) -> std::path::PathBuf {
    run.join(format!("aside.{}", stream.name()))
}

impl Collector {
    /// Go on where the last collector of this start was, or begin. `run` is the instance's folder
    /// below RUN, `folder` its log's, whose lock the caller has.
    pub(super) fn open(
        run: &Path,
        folder: &Path,
        resource: Resource,
        policy: Policy,
        settings: Arc<Settings>,
        sources: Sources,
    ) -> io::Result<Collector> {
        let (clock, counters) = (policy.clock, Arc::clone(&policy.counters));
        let ledger = Ledger::open(run)?;
        let (log, last) = Log::open(folder, resource, policy, ledger.state.lost)?;
        let lens = Lens::new(ROOM as usize)?;
        let mut works = Works { log, ledger, lens, batch: Batch::default(), clock, counters };
        let is_of = |record: &&LogRecord, stream: Stream| {
            record.attributes.get(attribute::STREAM).and_then(|name| name.as_str())
                == Some(stream.name())
        };
        let mut flow = |pipes: Pipes, stream: Stream| {
            let back = Back::new(pipes.back, &aside(run, stream))?;
            let ends = Ends { front: pipes.front, back, shown: pipes.shown.map(Shown::new) };
            let last = last.as_ref().filter(|record| is_of(record, stream));
            Flow::resume(stream, ends, &settings, last, &mut works)
        };
        let [output, error] = sources.streams;
        let flows = [flow(output, Stream::Output)?, flow(error, Stream::Error)?];
        let by_message = |record: &&LogRecord| {
            [Stream::Syslog, Stream::Journal, Stream::Agent].iter().any(|one| is_of(record, *one))
        };
        let ts = last.as_ref().filter(by_message).map(|record| record.ts.clone());
        let inbox = |socket: OwnedFd, place: usize| Inbox::new(socket, place, ts.clone());
        let socket = sources.socket.map(|socket| inbox(socket, 0)).transpose()?;
        let line = inbox(sources.line, 1)?;
        if works.ledger.state.began == 0 {
            works.ledger.state.began = works.log.next_seq();
        }
        works.ledger.state.lost = works.log.lost();
        works.ledger.save()?;
        Ok(Collector {
            flows,
            socket,
            line,
            settings,
            works,
            again: Instant::now(),
            is_fresh: true,
        })
    }

    /// Take everything there is a step further; whether there was anything. What the holder wants is
    /// added to `orders`.
    pub(super) fn turn(&mut self, orders: &mut Vec<Order>) -> io::Result<bool> {
        let mut busy = false;
        let (works, settings) = (&mut self.works, &self.settings);
        let sent = |bytes: &[u8], file| Meaning::Records(inbox::datagram(bytes, file, settings));
        let said = |bytes: &[u8], _| understood(bytes);
        if std::mem::take(&mut self.is_fresh) {
            if let Some(socket) = &mut self.socket {
                socket.catch_up(works, orders, sent)?;
            }
            self.line.catch_up(works, orders, said)?;
        }
        for flow in &mut self.flows {
            busy |= flow.turn(works)?;
        }
        if let Some(socket) = &mut self.socket {
            busy |= socket.turn(works, orders, sent)?;
        }
        busy |= self.line.turn(works, orders, said)?;
        self.tell_lost(false)?;
        self.works.log.tend();
        Ok(busy)
    }

    /// Say what was lost, if that can be said by now and it is time to try.
    fn tell_lost(&mut self, at_once: bool) -> io::Result<()> {
        let Works { log, ledger, .. } = &mut self.works;
        if log.lost().count == 0 || (!at_once && Instant::now() < self.again) {
            return Ok(());
        }
        self.again = Instant::now() + AGAIN;
        if log.tell_lost() {
            ledger.state.lost = log.lost();
            ledger.save()?;
        }
        Ok(())
    }

    /// What to wait for, when there is nothing to do.
    pub(super) fn interests(&self) -> Vec<Interest<'_>> {
        let sockets = [self.socket.as_ref(), Some(&self.line)].into_iter().flatten();
        let sockets = sockets.filter_map(Inbox::fd).map(|fd| Interest { fd, write: false });
        self.flows.iter().filter_map(Flow::interest).chain(sockets).collect()
    }

    /// When there is something to do although nothing comes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let lost = (self.works.log.lost().count > 0).then_some(self.again);
        self.flows.iter().map(Flow::deadline).chain([lost]).flatten().min()
    }

    /// Whether both streams have ended and all of them is in the log.
    pub(super) fn is_over(&self) -> bool {
        self.flows.iter().all(Flow::is_over)
    }

    /// Whether the holder is gone.
    pub(super) fn is_alone(&self) -> bool {
        self.line.is_closed()
    }

    /// The number of the last record that is in the log, and that of the first of this start.
    pub(super) fn numbers(&self) -> (u64, u64) {
        (self.works.log.written(), self.works.ledger.state.began)
    }

    /// Nothing more will come. Have all of it on the disk; whether nothing is left to be said.
    pub(super) fn close(mut self) -> io::Result<bool> {
        self.tell_lost(true)?;
        Ok(self.works.log.lost().count == 0)
    }
}

/// What a message of the holder's means.
fn understood(bytes: &[u8]) -> Meaning<Order> {
    match serde_json::from_slice(bytes) {
        Ok(Order::Say(record)) => Meaning::Records(vec![draft(record)]),
        Ok(order) => Meaning::Other(order),
        Err(_) => Meaning::Records(Vec::new()),
    }
}

fn draft(record: AgentRecord) -> Draft<'static> {
    let AgentRecord { severity, body, mut attributes } = record;
    attributes.remove(attribute::STREAM);
    let mut draft = Draft::plain(Stream::Agent, body.into(), 0);
    draft.severity = severity;
    draft.attributes.fields = attributes;
    draft
}

/// A place between two steps, at which a test may end this process.
#[cfg(not(test))]
fn checkpoint() {}

#[cfg(test)]
use tests::checkpoint;
