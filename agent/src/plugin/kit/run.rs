//! Trying a plugin: its process is asked as hostd would ask it.
//!
//! Invariant: an answer that is late, wrong or missing costs a plugin that case and no other: the
//! next one has a new process.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use host_sys::file;
use manifest_spec::plugin::{Answer, Question};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Case, Failure, Judged, Report, Round, cases, shortened};
use crate::aside::OfPolicy;
use crate::aside::start::Starter;
use crate::plugin::ended;
use crate::plugin::process::{Errors, Happening, Process};

/// So much of what it wrote last to standard error is kept, in bytes.
const WORDS: usize = 2048;
/// How long it may take until its program is executed, and how long to end after its input has.
const PATIENCE: Duration = Duration::from_secs(60);

/// A plugin that is asked.
#[derive(Debug)]
pub struct Asker {
    starter: Starter,
    of: OfPolicy,
    deadline: Duration,
    running: Option<Process>,
    words: Option<Words>,
    /// Its program was executed once at least.
    was_started: bool,
}

/// The last of what it wrote to standard error.
#[derive(Debug)]
struct Words {
    last: watch::Receiver<Vec<u8>>,
    task: JoinHandle<()>,
}

impl Drop for Words {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Words {
    fn of(output: OwnedFd) -> io::Result<Words> {
        let mut output = pipe::Receiver::from_owned_fd(output)?;
        let (sender, last) = watch::channel(Vec::new());
        let task = tokio::task::spawn_local(async move {
            let mut piece = [0; 1024];
            while let Ok(count @ 1..) = output.read(&mut piece).await {
                sender.send_modify(|words: &mut Vec<u8>| {
                    words.extend(&piece[..count]);
                    words.drain(..words.len().saturating_sub(WORDS));
                });
            }
        });
        Ok(Words { last, task })
    }
}

impl Asker {
    /// Of a policy's plugin, which has this long for an answer. Starts nothing yet.
    #[must_use]
    pub fn new(starter: Starter, of: OfPolicy, deadline: Duration) -> Asker {
        Asker { starter, of, deadline, running: None, words: None, was_started: false }
    }

    /// Ask; `line` is the question as it is written. An answer that is none ends the process.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask(&mut self, question: &Question, line: &str) -> Result<Answer, Failure> {
        let answered = self.answered(question, line).await;
        if answered.is_err() {
            self.running = None;
        }
        answered.map_err(|failure| Failure {
            question: Some(shortened(line.trim_end())),
            errors: self.errors(),
            ..failure
        })
    }

    async fn answered(&mut self, question: &Question, line: &str) -> Result<Answer, Failure> {
        let process = match self.running.take() {
            Some(process) => process,
            None => self.start().await?,
        };
        let process = self.running.insert(process);
        if let Ok(Happening::Line(line)) = timeout(Duration::ZERO, process.happening()).await {
            let reason = "a line that nobody asked for";
            return Err(said(reason.to_owned(), &line));
        }
        process.write(line);
        match timeout(self.deadline, process.happening()).await {
            Err(_) => Err(failure(format!("no answer within {:?}", self.deadline))),
            Ok(Happening::Line(line)) => Answer::read(&line, question)
                .map_err(|error| said(format!("a wrong answer: {error}"), &line)),
            Ok(Happening::Flood) => Err(failure("more than a line may have".to_owned())),
            Ok(Happening::Ended(ending)) => Err(failure(ended(&ending))),
            Ok(Happening::Started) => Err(failure("it was started twice".to_owned())),
        }
    }

    async fn start(&mut self) -> Result<Process, Failure> {
        let no_process = |error: io::Error| failure(format!("no process can be started: {error}"));
        let (reader, errors) = file::pipe().map_err(|errno| no_process(errno.into()))?;
        self.words = Some(Words::of(reader).map_err(no_process)?);
        let mut process =
            Process::start(&self.starter, &self.of, Errors::To(errors)).map_err(no_process)?;
        let first = timeout(PATIENCE, process.happening()).await;
        // A line of its own says so as well, and may be heard first.
        self.was_started |=
            matches!(first, Ok(Happening::Started | Happening::Line(_) | Happening::Flood));
        match first {
            Ok(Happening::Started) => Ok(process),
            Ok(Happening::Ended(ending)) => Err(failure(ended(&ending))),
            Ok(Happening::Line(line)) => {
                Err(said("a line that nobody asked for".to_owned(), &line))
            }
            Ok(Happening::Flood) => Err(failure("more than a line may have".to_owned())),
            Err(_) => Err(failure("its program was not executed in time".to_owned())),
        }
    }

    /// Close its input, and wait for its end.
    async fn end(&mut self) -> Result<(), Failure> {
        let mut process = match self.running.take() {
            Some(process) => process,
            None => self.start().await?,
        };
        process.close();
        let happening = timeout(PATIENCE, process.happening()).await;
        let failed = match happening {
            Ok(Happening::Ended(_)) => return Ok(()),
            Ok(Happening::Line(line)) => said("a line that nobody asked for".to_owned(), &line),
            Ok(_) => failure("more than a line may have".to_owned()),
            Err(_) => failure(format!("it still runs {PATIENCE:?} after the end of its input")),
        };
        Err(Failure { errors: self.errors(), ..failed })
    }

    /// The last lines it wrote to standard error.
    fn errors(&self) -> String {
        let words = self.words.as_ref().map(|words| words.last.borrow().clone());
        String::from_utf8_lossy(&words.unwrap_or_default()).trim().to_owned()
    }
}

/// Try a plugin in all cases; in the first alone, where its program can't be started.
pub async fn check(mut asker: Asker, plugin: Vec<String>) -> Report {
    let mut judged = Vec::new();
    for Case { name, promise, rounds } in cases() {
        let failure = all(&mut asker, &rounds).await.err();
        judged.push(Judged { name, promise, failure });
        if !asker.was_started {
            break;
        }
    }
    if asker.was_started {
        let failure = asker.end().await.err();
        judged.push(Judged { name: "the end", promise: "end when its input does", failure });
    }
    let passed = judged.iter().all(|one| one.failure.is_none());
    let deadline_ms = asker.deadline.as_millis() as u64;
    Report { v: 1, plugin, deadline_ms, passed, cases: judged }
}

async fn all(asker: &mut Asker, rounds: &[Round]) -> Result<(), Failure> {
    for round in rounds {
        asker.ask(&round.question, &round.line).await?;
    }
    Ok(())
}

fn failure(reason: String) -> Failure {
    Failure { reason, question: None, answer: None, errors: String::new() }
}

fn said(reason: String, line: &[u8]) -> Failure {
    let answer = Some(shortened(&String::from_utf8_lossy(line)));
    Failure { answer, ..failure(reason) }
}
