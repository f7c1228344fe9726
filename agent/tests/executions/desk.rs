//! A companion that a case tells what to do when something happens.
//!
//! Invariant: nothing is waited for longer than a minute; then the case fails.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use agent::plan::Plan;
use agent::run::{Finished, RunError};
use agent::sandbox::message::{Execution, Failure, Streams};
use agent::supervise::{Companion, News, Wish};
use host_sys::poll::Interest;
use host_sys::process::Exit;
use host_sys::terminal::Size;
use host_sys::{Errno, file};

use crate::scene::Scene;

const PATIENCE: Duration = Duration::from_secs(60);

/// What a case hears of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    Started,
    /// A command has written something.
    Said(u32),
    /// A command's output has ended: nobody holds the other end any more.
    Silent,
    /// A command was answered for.
    Answered(u32),
    Terminal,
    ProgramEnded,
    Other,
}

/// What was done and seen.
pub struct Desk {
    plan: Plan,
    wishes: Vec<Wish>,
    readers: Vec<(u32, OwnedFd)>,
    said: BTreeMap<u32, Vec<u8>>,
    asked: BTreeSet<u32>,
    pub answers: BTreeMap<u32, Result<Exit, Failure>>,
    pub terminals: BTreeMap<u32, OwnedFd>,
    pub news: Vec<String>,
    until: Instant,
}

type Script<'a> = &'a mut dyn FnMut(&mut Desk, Happening);

struct Companioned<'a> {
    desk: Desk,
    script: Script<'a>,
}

/// Run a plan beside a script.
pub fn attend(
    scene: &Scene,
    plan: &Plan,
    script: Script<'_>,
) -> (Desk, Result<Finished, RunError>) {
    let desk = Desk {
        plan: plan.clone(),
        wishes: Vec::new(),
        readers: Vec::new(),
        said: BTreeMap::new(),
        asked: BTreeSet::new(),
        answers: BTreeMap::new(),
        terminals: BTreeMap::new(),
        news: Vec::new(),
        until: Instant::now() + PATIENCE,
    };
    let mut companioned = Companioned { desk, script };
    let finished = scene.run(plan, &mut companioned);
    (companioned.desk, finished)
}

impl Desk {
    /// A command with these words, its output and errors in one pipe, this its input.
    pub fn execute(&mut self, id: u32, words: &[&str], input: &str) {
        let (typed, stdin) = file::input_pipe().unwrap();
        file::write_all(typed.as_fd(), input.as_bytes()).unwrap();
        let (reader, stdout) = file::pipe().unwrap();
        let stderr = file::duplicate(stdout.as_fd()).unwrap();
        self.readers.push((id, reader));
        self.wish(id, words, Streams::Passed([stdin, stdout, stderr]));
    }

    /// The same in a terminal.
    pub fn execute_in_terminal(&mut self, id: u32, words: &[&str], size: Size) {
        self.wish(id, words, Streams::Terminal(size));
    }

    fn wish(&mut self, id: u32, words: &[&str], streams: Streams) {
        self.asked.insert(id);
        self.wishes.push(Wish::Execute(Execution {
            id,
            arguments: words.iter().map(|word| (*word).to_owned()).collect(),
            environment: self.plan.env.clone(),
            directory: self.plan.dir.clone(),
            streams,
        }));
    }

    pub fn signal(&mut self, id: u32, signal: i32) {
        self.wishes.push(Wish::SignalExecution { id, signal });
    }

    pub fn type_into(&self, id: u32, keys: &str) {
        file::write_all(self.terminals[&id].as_fd(), keys.as_bytes()).unwrap();
    }

    pub fn want(&mut self, wish: Wish) {
        self.wishes.push(wish);
    }

    pub fn stop(&mut self) {
        self.want(Wish::Stop { signal: None });
    }

    pub fn said(&self, id: u32) -> String {
        String::from_utf8(self.said.get(&id).cloned().unwrap_or_default()).unwrap()
    }

    /// Whether every command was answered for, and nothing can be said any more.
    pub fn is_done(&self) -> bool {
        self.asked.iter().all(|id| self.answers.contains_key(id)) && self.readers.is_empty()
    }

    #[track_caller]
    pub fn failure(&self, id: u32) -> &Failure {
        self.answers[&id].as_ref().unwrap_err()
    }

    fn note(&mut self, news: News) -> Happening {
        let line = format!("{news:?}");
        let happening = match news {
            News::Started => Happening::Started,
            News::ProgramEnded(_) => Happening::ProgramEnded,
            News::Terminal { id, master } => {
                self.readers.push((id, file::duplicate(master.as_fd()).unwrap()));
                self.terminals.insert(id, master);
                Happening::Terminal
            }
            News::Executed { id, exit } => self.answer(id, Ok(exit)),
            News::NotExecuted { id, failure } => self.answer(id, Err(failure)),
            _ => Happening::Other,
        };
        self.news.push(line);
        happening
    }

    fn answer(&mut self, id: u32, answer: Result<Exit, Failure>) -> Happening {
        let before = self.answers.insert(id, answer);
        assert!(before.is_none(), "{id} was answered for twice");
        self.terminals.remove(&id);
        Happening::Answered(id)
    }

    /// Read once; whose output it was, and whether it goes on.
    fn read(&mut self, place: usize) -> Happening {
        let (id, reader) = &self.readers[place];
        let mut buffer = [0; 4096];
        match file::read(reader.as_fd(), &mut buffer) {
            Ok(0) | Err(Errno::EIO) => {
                self.readers.remove(place);
                Happening::Silent
            }
            Ok(count) => {
                self.said.entry(*id).or_default().extend(&buffer[..count]);
                Happening::Said(*id)
            }
            Err(errno) => panic!("{errno}"),
        }
    }
}

impl Companion for Companioned<'_> {
    fn sources(&self) -> Vec<Interest<'_>> {
        let all = self.desk.readers.iter();
        all.map(|(_, fd)| Interest { fd: fd.as_fd(), write: false }).collect()
    }

    fn deadline(&self) -> Option<Instant> {
        Some(if self.desk.wishes.is_empty() { self.desk.until } else { Instant::now() })
    }

    fn tend(&mut self, ready: &[usize]) -> Vec<Wish> {
        assert!(Instant::now() < self.desk.until, "it takes too long: {:?}", self.desk.news);
        // From behind: one that has ended leaves the list.
        for place in ready.iter().rev() {
            let happening = self.desk.read(*place);
            (self.script)(&mut self.desk, happening);
        }
        std::mem::take(&mut self.desk.wishes)
    }

    fn hear(&mut self, news: News) {
        // Of the sandbox, not of the program.
        if matches!(news, News::Born { .. }) {
            return;
        }
        let happening = self.desk.note(news);
        (self.script)(&mut self.desk, happening);
    }
}
