//! The sink that an address names.
//!
//! Invariant: opening one touches nothing but the host's list of authorities; it is reached when
//! something is delivered.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use manifest_spec::log::{LogRecord, Resource, Severity, VERSION, attribute};
use manifest_spec::sink::{Endpoint, SinkTarget};
use serde_json::Map;

use super::file::{FileSink, Mark, Rotation};
use super::http::{self, Client};
use super::journal::{self, JournalSink};
use super::line::Subject;
use super::program::ProgramSink;
use super::push::{Form, PushSink};
use super::reach::Patience;
use super::syslog::SyslogSink;
use super::{Answer, Codec, Verdict, tls};
use crate::aside::start::Starter;
use crate::aside::{Like, Order};
use crate::logs::route::batch::{Gathering, Part, Piece};
use crate::plan::PlannedSink;

/// How long lines are gathered for who takes them one by one: long enough that a noisy program costs
/// fifty small writes a second and not thousands, and too short to be noticed.
const MOMENT: Duration = Duration::from_millis(20);

/// What sinks need of the host.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The journal's socket.
    pub journal: PathBuf,
    /// Lists of certificate authorities, of which the first that exists is taken.
    pub bundles: Vec<PathBuf>,
    /// How long peers are waited for.
    pub patience: Patience,
    /// How programs are run, and beside which instance; `None` where none can be a sink.
    pub programs: Option<(Starter, Like)>,
    /// The time of day, since 1970.
    pub clock: fn() -> Duration,
}

impl Surroundings {
    /// Those of this host.
    pub fn of_host(clock: fn() -> Duration) -> Surroundings {
        Surroundings {
            journal: journal::SOCKET.into(),
            bundles: tls::BUNDLES.map(PathBuf::from).into(),
            patience: Patience::default(),
            programs: None,
            clock,
        }
    }
}

/// A sink of any kind.
#[derive(Debug)]
pub enum Sink {
    /// A file.
    File(FileSink),
    /// The host's journal.
    Journal(JournalSink),
    /// A receiver of syslog.
    Syslog(SyslogSink),
    /// Whoever takes batches over HTTP.
    Push(Box<PushSink>),
    /// A program.
    Program(Box<ProgramSink>),
}

impl Sink {
    /// The sink that a plan names.
    ///
    /// # Errors
    /// Why there can be none, in words.
    pub fn open(planned: &PlannedSink, around: &Surroundings) -> Result<Sink, String> {
        let push = |endpoint: &Endpoint, form: Form| {
            let headers = planned.headers.iter().map(|(name, value)| (name, &value.0));
            let headers = http::headers(headers)?;
            let path = form.path(endpoint);
            let client = Client::new(endpoint, path, headers, around)?;
            Ok(Sink::Push(Box::new(PushSink::new(client, form))))
        };
        match &planned.to {
            SinkTarget::File(path) => {
                let rotation =
                    planned.rotate.map(|bytes| Rotation { bytes, copies: planned.copies });
                Ok(Sink::File(FileSink::new(Path::new(path), rotation)))
            }
            SinkTarget::Journal => {
                Ok(Sink::Journal(JournalSink::new(&around.journal, around.patience)))
            }
            SinkTarget::Syslog(place) => {
                Ok(Sink::Syslog(SyslogSink::new(place.clone(), around.patience)))
            }
            SinkTarget::Loki(endpoint) => push(endpoint, Form::Loki(planned.labels.clone())),
            SinkTarget::Otlp(endpoint) => push(endpoint, Form::Otlp),
            SinkTarget::Http(endpoint) => push(endpoint, Form::Lines),
            SinkTarget::Exec(command) => {
                let (starter, like) = around
                    .programs
                    .clone()
                    .ok_or("no instance of the app runs that it could be run beside")?;
                let words = command.expand(&|_| None).map_err(|error| error.to_string())?;
                let order = Order::new(like, words);
                Ok(Sink::Program(Box::new(ProgramSink::new(starter, order))))
            }
        }
    }

    /// How records are written for it.
    pub fn codec(&self) -> Codec {
        match self {
            Sink::File(_) | Sink::Program(_) => Codec::NamedLines,
            Sink::Journal(_) => Codec::Journal,
            Sink::Syslog(sink) => sink.codec(),
            Sink::Push(sink) => sink.codec(),
        }
    }

    /// How long a batch that is not full waits for more.
    pub fn linger(&self) -> Duration {
        match self {
            // Somebody may be looking.
            Sink::File(_) | Sink::Journal(_) | Sink::Syslog(_) | Sink::Program(_) => MOMENT,
            Sink::Push(_) => Duration::from_secs(1),
        }
    }

    /// Whether its peer can tell a batch that comes twice, if it is the same batch.
    pub fn knows_batches(&self) -> bool {
        matches!(self, Sink::Push(_))
    }

    /// Send records.
    pub async fn deliver(&mut self, part: &Part<'_>) -> Answer {
        match self {
            Sink::File(sink) => sink.deliver(part).await,
            Sink::Journal(sink) => sink.deliver(part).await,
            Sink::Syslog(sink) => sink.deliver(part).await,
            Sink::Push(sink) => sink.deliver(part).await,
            Sink::Program(sink) => sink.deliver(part).await,
        }
    }

    /// Nothing more will be delivered: let it come to its end.
    pub async fn close(&mut self) {
        if let Sink::Program(sink) = self {
            sink.close().await;
        }
    }

    /// Begin with nothing delivered.
    pub fn begin(&mut self) {
        if let Sink::File(sink) = self {
            sink.begin();
        }
    }

    /// Go on behind what was noted. The log has records up to number `most`.
    pub fn resume(&mut self, mark: Option<Mark>, most: u64) {
        if let Sink::File(sink) = self {
            sink.resume(mark, most);
        }
    }

    /// What is to be noted with what was delivered.
    pub fn mark(&self) -> Option<Mark> {
        match self {
            Sink::File(sink) => sink.mark(),
            _ => None,
        }
    }

    /// See to it that what this host keeps for it is on the disk; whether there is such a thing.
    ///
    /// # Errors
    /// What fdatasync(2) says.
    pub fn sync(&self) -> std::io::Result<bool> {
        match self {
            Sink::File(sink) => sink.sync().map(|()| true),
            _ => Ok(false),
        }
    }
}

/// Send one record to a sink, as `hostctl sinks test` does: what happened, in words.
///
/// # Errors
/// The same, if the record did not arrive.
pub async fn trial(
    planned: &PlannedSink,
    resource: Resource,
    around: &Surroundings,
) -> Result<String, String> {
    let mut sink = Sink::open(planned, around)?;
    sink.begin();
    let batch = {
        let record = trial_record(crate::logs::stamp((around.clock)()));
        let mut gathering = Gathering::default();
        let subject = Subject { resource: &resource, record: &record, line: b"" };
        sink.codec().append(&subject, &mut gathering.bytes);
        let end = gathering.bytes.len();
        gathering.pieces.push(Piece { end, ..Piece::default() });
        gathering.close(Arc::new(resource))
    };
    let answer = sink.deliver(&batch.part(0..1)).await;
    sink.close().await;
    match answer.verdict {
        Verdict::Taken if answer.dropped > 0 => Err(answer.said),
        Verdict::Taken => Ok(match &planned.to {
            SinkTarget::Syslog(manifest_spec::sink::SyslogAddress::Udp(peer)) => {
                format!("one record was sent to {peer}; nobody says over UDP whether it arrived")
            }
            to => format!("{to} has taken one record"),
        }),
        Verdict::Refused => Err(format!("the record was refused: {}", answer.said)),
        Verdict::TooLarge => Err(format!("one record is too large for it: {}", answer.said)),
        Verdict::Busy(_) => Err(format!("it is busy: {}", answer.said)),
        Verdict::Failed => Err(answer.said),
    }
}

fn trial_record(ts: String) -> LogRecord {
    let mut attributes = Map::new();
    attributes.insert(attribute::STREAM.to_owned(), "agent".into());
    LogRecord {
        v: VERSION,
        seq: 0,
        ts,
        severity: Severity::Info,
        body: "a test of this sink by hostctl".to_owned(),
        attributes,
        trace_id: None,
        span_id: None,
        at: None,
    }
}
