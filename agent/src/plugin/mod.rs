//! Policy plugins: programs that say which backends of a service get its new connections.
//!
//! Owns their processes, one for each service whose policy is one, so that no service waits for the
//! answer of another. Invariant: whatever a plugin does (says nothing, nonsense, too much, dies,
//! hangs), there is a standing answer at every moment, and nothing here waits for it; a plugin is
//! granted nothing, and ends with hostd. Never touches the balancer's table: whoever asks takes
//! the answer there.
//!
//! | module | owns |
//! | --- | --- |
//! | [`conduct`] | what is done about what a plugin does: pure |
//! | [`process`] | its process and its streams |
//! | [`kit`] | what any plugin must do: cases and their judgement |
//! | [`trace`] | recorded questions, and what answers would make of them |
//!
//! # For the daemon
//!
//! [`Plugins::ask`] as often as one likes: what has not changed is asked every few seconds only, the
//! newest question waits until the plugin has answered the one before, and those between are never
//! asked. [`News`] comes whenever [`Plugins::standing`] has changed:
//!
//! | standing | policy of the service |
//! | --- | --- |
//! | [`Standing::Answer`], [`Standing::Kept`] | `Policy::Given(answer)` |
//! | [`Standing::Nothing`], [`Standing::Fallback`] | the declared `fallback`, else round robin |
//!
//! With [`Plugins::keep`] others end. A daemon that remembers answers over its own end gives them back
//! with [`Plugins::remember`].

pub mod conduct;
pub mod kit;
pub mod process;
pub mod trace;

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use manifest_spec::plugin::{Answer, AnswerError, Backend, Question, VERSION};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, sleep_until};

use crate::aside::OfPolicy;
use crate::aside::start::Starter;
use crate::keep::status::Ending;
pub use conduct::Standing;
use conduct::{Action, Conduct, Event};
use process::{Errors, Happening, Process};

/// Time for an answer, where the manifest says none.
pub const DEADLINE: Duration = Duration::from_secs(1);

/// How often what has not changed is asked again: a plugin may go by the time, or by a file.
const TICK: Duration = Duration::from_secs(5);

/// Which program decides for a service, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The policy.
    pub of: OfPolicy,
    /// Time for an answer.
    pub deadline: Duration,
}

/// What stands has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The service.
    pub service: String,
    /// What stands now.
    pub standing: Standing,
    /// What the plugin last did wrong, in words, while it fails.
    pub failure: Option<String>,
}

/// What a plugin did wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No answer in time.
    Late(Duration),
    /// An answer that is none.
    Wrong(AnswerError),
    /// It said something that nobody asked for, too often.
    Noisy,
    /// It wrote more than a line may have.
    Flood,
    /// Its program was not executed in time.
    NotStarted,
    /// It ended.
    Ended(Ending),
    /// No process could be started.
    NoProcess(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Late(deadline) => write!(f, "no answer within {deadline:?}"),
            Fault::Wrong(error) => write!(f, "a wrong answer: {error}"),
            Fault::Noisy => f.write_str("it writes lines that answer nothing"),
            Fault::Flood => f.write_str("it writes more than a line may have"),
            Fault::NotStarted => f.write_str("its program was not executed in time"),
            Fault::Ended(ending) => f.write_str(&ended(ending)),
            Fault::NoProcess(error) => write!(f, "no process can be started: {error}"),
        }
    }
}

/// How a plugin ended, in words.
#[must_use]
pub fn ended(ending: &Ending) -> String {
    match ending {
        Ending::Exit(code) => format!("it exited with {code}"),
        Ending::Signal { number, .. } => format!("it was ended by signal {number}"),
        Ending::Oom => "it used more memory than it may".to_owned(),
        Ending::Denied { call } => format!("it made the system call {call}, which is refused"),
        Ending::Killed => "it was ended by force".to_owned(),
        Ending::NotStarted { message, .. } => {
            // A diagnostic goes on with the place in the manifest.
            format!("it can't be started: {}", message.lines().next().unwrap_or_default())
        }
    }
}

/// Whoever wants the news.
type Tell = Rc<dyn Fn(News)>;

/// The plugins of a host's services.
pub struct Plugins {
    starter: Starter,
    tell: Tell,
    all: BTreeMap<String, Plugin>,
    /// What stood when an earlier hostd ended.
    before: BTreeMap<String, Answer>,
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugins").field("all", &self.all).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Plugin {
    generation: u64,
    asked: watch::Sender<Vec<Backend>>,
    standing: watch::Receiver<Standing>,
    task: JoinHandle<()>,
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Plugins {
    /// None yet. `tell` is called in the tasks of the runtime's local set, and must not wait.
    pub fn new(starter: Starter, tell: impl Fn(News) + 'static) -> Plugins {
        Plugins { starter, tell: Rc::new(tell), all: BTreeMap::new(), before: BTreeMap::new() }
    }

    /// Ask about a service's backends as they are now, if that is something new. The first question
    /// starts the plugin; another generation of its setup ends the one before.
    pub fn ask(
        &mut self,
        service: &str,
        generation: u64,
        setup: impl FnOnce() -> Setup,
        backends: Vec<Backend>,
    ) {
        if self.all.get(service).is_none_or(|plugin| plugin.generation != generation) {
            let plugin = self.begin(service, generation, setup());
            self.all.insert(service.to_owned(), plugin);
        }
        if let Some(plugin) = self.all.get(service) {
            plugin.asked.send_if_modified(|asked| {
                let changed = *asked != backends;
                *asked = backends;
                changed
            });
        }
    }

    /// What stands for a service.
    #[must_use]
    pub fn standing(&self, service: &str) -> Standing {
        match self.all.get(service) {
            Some(plugin) => plugin.standing.borrow().clone(),
            None => self.before.get(service).cloned().map_or(Standing::Nothing, Standing::Kept),
        }
    }

    /// What stood for a service before this hostd.
    pub fn remember(&mut self, service: &str, answer: Answer) {
        self.before.insert(service.to_owned(), answer);
    }

    /// Only these services have plugins from now on.
    pub fn keep(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.all.retain(|service, _| is_kept(service));
        self.before.retain(|service, _| is_kept(service));
    }

    /// Whether no service has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn begin(&mut self, service: &str, generation: u64, setup: Setup) -> Plugin {
        let (asked, questions) = watch::channel(Vec::new());
        let conduct = match self.standing(service) {
            Standing::Answer(answer) | Standing::Kept(answer) => {
                Conduct::after(setup.deadline, answer)
            }
            Standing::Nothing | Standing::Fallback => Conduct::new(setup.deadline),
        };
        self.before.remove(service);
        let (stands, standing) = watch::channel(conduct.standing(Duration::ZERO));
        let tender = Tender {
            starter: self.starter.clone(),
            setup,
            service: service.to_owned(),
            conduct,
            begun: Instant::now(),
            process: None,
            question: None,
            id: 0,
            fault: None,
            stands,
            tell: Rc::clone(&self.tell),
        };
        let task = tokio::task::spawn_local(tender.tend(questions));
        Plugin { generation, asked, standing, task }
    }
}

/// Who deals with one plugin.
struct Tender {
    starter: Starter,
    setup: Setup,
    service: String,
    conduct: Conduct,
    begun: Instant,
    process: Option<Process>,
    /// The last question that was asked.
    question: Option<Question>,
    id: u64,
    fault: Option<Fault>,
    stands: watch::Sender<Standing>,
    tell: Tell,
}

impl Tender {
    /// Until nobody wants an answer any more.
    async fn tend(mut self, mut questions: watch::Receiver<Vec<Backend>>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while let Some(action) = self.conduct.next() {
                match action {
                    Action::Start => self.start(),
                    Action::Ask => self.ask(&questions),
                }
            }
            self.settle();
            let now = self.now();
            let deadline = self.conduct.deadline(now).map(|at| self.begun + at);
            tokio::select! {
                changed = questions.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.want(&questions);
                }
                _ = tick.tick() => self.want(&questions),
                happening = next(&mut self.process) => self.hear(happening),
                () = until(deadline) => if self.conduct.is_due(self.now()) {
                    self.overdue();
                },
            }
        }
    }

    /// Ask, unless it is about nobody: to that there is no answer.
    fn want(&mut self, questions: &watch::Receiver<Vec<Backend>>) {
        let somebody = questions.borrow().iter().any(|one| one.healthy && !one.draining);
        self.conduct.want(somebody);
    }

    fn start(&mut self) {
        self.on(Event::Start, None);
        match Process::start(&self.starter, &self.setup.of, Errors::Logged) {
            Ok(process) => self.process = Some(process),
            Err(error) => self.on(Event::Ended, Some(Fault::NoProcess(error.to_string()))),
        }
    }

    fn ask(&mut self, questions: &watch::Receiver<Vec<Backend>>) {
        // Whoever was to be asked about may have gone while the plugin was started again.
        self.want(questions);
        if self.conduct.next() != Some(Action::Ask) {
            return;
        }
        self.id += 1;
        let question = Question {
            v: VERSION,
            id: self.id,
            service: self.service.clone(),
            backends: questions.borrow().clone(),
        };
        if let Some(process) = &mut self.process {
            process.write(&question.line());
        }
        self.question = Some(question);
        self.on(Event::Ask, None);
    }

    fn hear(&mut self, happening: Happening) {
        match happening {
            Happening::Started => self.on(Event::Started, None),
            Happening::Flood => self.on(Event::Flood, Some(Fault::Flood)),
            Happening::Ended(ending) => self.on(Event::Ended, Some(Fault::Ended(ending))),
            Happening::Line(line) => match self.read(&line) {
                Ok(answer) => {
                    let now = self.now();
                    if self.conduct.adopt(answer, now) {
                        self.fault = Some(Fault::Noisy);
                        self.process = None;
                    }
                }
                Err(error) if is_noise(&error) => self.on(Event::Noise, Some(Fault::Noisy)),
                Err(error) => self.on(Event::Wrong, Some(Fault::Wrong(error))),
            },
        }
    }

    fn read(&self, line: &[u8]) -> Result<Answer, AnswerError> {
        match &self.question {
            Some(question) => Answer::read(line, question),
            None => Err(AnswerError::Id),
        }
    }

    fn overdue(&mut self) {
        let fault = match self.conduct.state() {
            conduct::State::Asked => Some(Fault::Late(self.setup.deadline)),
            conduct::State::Starting => Some(Fault::NotStarted),
            _ => None,
        };
        self.on(Event::Due, fault);
    }

    fn on(&mut self, event: Event, fault: Option<Fault>) {
        let now = self.now();
        let ends = self.conduct.on(event, now);
        if fault.is_some() && (ends || event != Event::Noise) {
            self.fault = fault;
        }
        if ends {
            self.process = None;
        }
    }

    /// Tell what stands, if that is something else than before.
    fn settle(&mut self) {
        let standing = self.conduct.standing(self.now());
        if *self.stands.borrow() == standing {
            return;
        }
        if matches!(standing, Standing::Answer(_)) {
            self.fault = None;
        }
        self.stands.send_replace(standing.clone());
        let failure = self
            .fault
            .as_ref()
            .map(|fault| format!("the plugin of policy {} fails: {fault}", self.setup.of.policy));
        (self.tell)(News { service: self.service.clone(), standing, failure });
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// Whether a line is no answer to the last question at all, rather than a wrong one.
fn is_noise(error: &AnswerError) -> bool {
    matches!(
        error,
        AnswerError::NotJson(_)
            | AnswerError::TooLong(_)
            | AnswerError::Id
            | AnswerError::OtherId(_)
    )
}

/// What happens to a process; never anything where there is none.
async fn next(process: &mut Option<Process>) -> Happening {
    match process {
        Some(process) => process.happening().await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
