//! Everything that hostd's one loop can be told.
//!
//! Invariant: closed. Whoever waits for something (a connection, a keeper, a timer) sends one of
//! these; nothing else changes the world.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use manifest_spec::api::{
    AppList, AppStatus, AuditEntry, Changed, DeployRequest, Deployed, Difference, ErrorBody,
    Event as Told, ExecRequest, History, HostStatus, LbAddRequest, LbDrainRequest, LbList,
    LbPolicyRequest, LbRemoveRequest, LbWeightRequest, LogQuery, PlanRequest, RemoveRequest,
    RollbackRequest, ScaleRequest, ServiceRequest, SinkList, SinkTestRequest,
};
use manifest_spec::log::metrics::PipelineMetrics;
use manifest_spec::log::sinks::{SinkEntry, SinkName};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::balance::checks::Which;
use super::peer::Peer;
use super::probe::{InsideCheck, Verdict};
use crate::aside::Like;
use crate::aside::start::Starter;
use crate::keep::assignment::Name;
use crate::keep::status::Ending;
use crate::keep::wire::News;
use crate::plan::PlannedSink;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Somebody asks for something.
    Call(Call, Peer, oneshot::Sender<Result<Reply, Box<ErrorBody>>>),
    /// The same after a moment in which keepers could answer what was asked of them for it.
    Late(Call, Peer, oneshot::Sender<Result<Reply, Box<ErrorBody>>>),
    /// A keeper said something, with descriptors on board.
    News(Mark, News, Vec<OwnedFd>),
    /// The connection to a keeper has ended, or could not be made.
    Silent(Mark),
    /// A keeper that an earlier hostd started has answered.
    Found(Mark, OwnedFd),
    /// A watcher found something out.
    Verdict(Mark, Verdict),
    /// A watcher wants a program run inside an instance.
    Inside(Mark, InsideCheck),
    /// A command that runs inside an instance is to be sent a signal.
    SignalInside(Mark, u32, i32),
    /// A backend that an operator added answers, or does not.
    Backend(Which, bool),
    /// What stands of a policy's answers has changed.
    Policy(crate::plugin::News),
    /// How logs do, each by its instance.
    Logs(Vec<(String, PipelineMetrics)>),
    /// A child has ended.
    Children,
    /// Somebody wants hostd to end; the instances go on.
    End,
}

/// One life of an instance: what is said of an earlier one is not taken for this one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Which instance.
    pub name: Name,
    /// Which start of it, by this hostd's count.
    pub serial: u64,
}

/// What can be asked: one variant for each operation of the API.
#[derive(Debug)]
pub enum Call {
    /// hostd itself.
    Host,
    /// All apps.
    Apps,
    /// One app.
    App(String),
    /// A new version.
    Deploy(Box<DeployRequest>),
    /// What a new version would change.
    Plan(Box<PlanRequest>),
    /// Stop an app, or one of its services.
    Stop(String, ServiceRequest),
    /// Start it again.
    Start(String, ServiceRequest),
    /// Replace its instances by new ones.
    Restart(String, ServiceRequest),
    /// How many instances of a service.
    Scale(String, ScaleRequest),
    /// Back to an earlier version.
    Rollback(String, RollbackRequest),
    /// Stop and forget it.
    Remove(String, RemoveRequest),
    /// Its versions.
    History(String),
    /// What happened since a number, of one app or of all; and what happens from now on.
    Events {
        /// The first number that is wanted.
        since: u64,
        /// Only of this app.
        app: Option<String>,
    },
    /// What apps wrote.
    Logs(Box<LogQuery>),
    /// Where that goes, of one app or of all.
    Sinks(Option<String>),
    /// One more sink of an app.
    AddSink(String, Box<SinkEntry>),
    /// One less.
    RemoveSink(String, SinkName),
    /// One record to sinks of an app.
    TestSinks(String, Box<SinkTestRequest>),
    /// Services of the balancer: one by its name, or all.
    Lb(Option<String>),
    /// One more backend.
    LbAdd(Box<LbAddRequest>),
    /// One less.
    LbRemove(LbRemoveRequest),
    /// What one counts for.
    LbWeight(LbWeightRequest),
    /// Nothing new for one.
    LbDrain(LbDrainRequest),
    /// Another policy.
    LbPolicy(LbPolicyRequest),
    /// Everything that is measured, for Prometheus.
    Metrics,
    /// Run a command inside an instance.
    Exec(String, Box<ExecRequest>),
    /// Stop every instance in order and start none until hostd is started anew: the host goes down.
    Halt,
    /// Who did what.
    Audit {
        /// At most so many, the newest.
        count: usize,
    },
}

impl Call {
    /// What it would do to which app; `None` for what only looks.
    pub fn deed(&self) -> Option<(&'static str, String)> {
        Some(match self {
            Call::Deploy(request) => ("deploy", request.manifest.name.clone()),
            Call::Stop(app, _) => ("stop", app.clone()),
            Call::Start(app, _) => ("start", app.clone()),
            Call::Restart(app, _) => ("restart", app.clone()),
            Call::Scale(app, _) => ("scale", app.clone()),
            Call::Rollback(app, _) => ("rollback", app.clone()),
            Call::Remove(app, _) => ("remove", app.clone()),
            Call::Exec(app, _) => ("exec", app.clone()),
            Call::AddSink(app, _) => ("add-sink", app.clone()),
            Call::RemoveSink(app, _) => ("remove-sink", app.clone()),
            Call::LbAdd(request) => ("lb-add", request.name.clone()),
            Call::LbRemove(request) => ("lb-remove", request.name.clone()),
            Call::LbWeight(request) => ("lb-weight", request.name.clone()),
            Call::LbDrain(request) => ("lb-drain", request.name.clone()),
            Call::LbPolicy(request) => ("lb-policy", request.name.clone()),
            Call::Halt => ("halt", String::new()),
            Call::Host | Call::Apps | Call::App(_) | Call::Plan(_) | Call::History(_) => {
                return None;
            }
            Call::Events { .. } | Call::Logs(_) | Call::Audit { .. } => return None,
            Call::Sinks(_) | Call::TestSinks(..) | Call::Lb(_) | Call::Metrics => return None,
        })
    }
}

/// What is answered.
#[derive(Debug)]
pub enum Reply {
    /// To [`Call::Host`].
    Host(Box<HostStatus>),
    /// To [`Call::Apps`].
    Apps(AppList),
    /// To [`Call::App`].
    App(Box<AppStatus>),
    /// To [`Call::Deploy`].
    Deployed(Deployed),
    /// To [`Call::Plan`].
    Difference(Box<Difference>),
    /// To what changes an app.
    Changed(Changed),
    /// To [`Call::History`].
    History(Box<History>),
    /// To [`Call::Events`].
    Events(Vec<Told>, broadcast::Receiver<Told>),
    /// To [`Call::Logs`]: where the logs are, and what is wanted of them.
    Logs(PathBuf, Box<LogQuery>),
    /// To [`Call::Sinks`].
    Sinks(SinkList),
    /// To [`Call::Lb`].
    Lb(LbList),
    /// To [`Call::Metrics`].
    Metrics(String),
    /// To [`Call::TestSinks`]: which they are, and beside which instance a program would be run.
    TestSinks(Vec<PlannedSink>, Option<Box<(Starter, Like)>>),
    /// To [`Call::Exec`].
    Exec(Box<Running>),
    /// To [`Call::Audit`].
    Audit(Vec<AuditEntry>),
}

/// A command that runs inside an instance.
#[derive(Debug)]
pub struct Running {
    /// hostd's ends of its standard input, output and error; none if it gets a terminal.
    pub streams: Option<[OwnedFd; 3]>,
    /// What is said of it.
    pub news: mpsc::UnboundedReceiver<CommandNews>,
    /// The instance it runs in.
    pub mark: Mark,
    /// Its number there.
    pub id: u32,
    /// Takes signals for it.
    pub sender: UnboundedSender<Event>,
}

/// What is said of a command that runs inside.
#[derive(Debug)]
pub enum CommandNews {
    /// The other side of its terminal.
    Terminal(OwnedFd),
    /// It has ended.
    Ended(Ending),
    /// It could not be started: why, and the exit code that says so.
    NotStarted(String, u8),
}
