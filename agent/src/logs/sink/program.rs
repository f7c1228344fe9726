//! A program as a sink: records are lines on its standard input, the first of which says what they
//! belong to.
//!
//! Invariant: a record is taken when the program has read all of its line out of the pipe, and not
//! before. One that ends, or is ended with this process, is given what it had not read wholly when it
//! runs again, from the beginning of a line on; what it had read and done nothing about is lost to
//! it, and what it read at the moment of a kill may come again. It runs beside the instance, in a
//! sandbox with what the instance is granted, and is started when there is something for it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use host_sys::file;
use manifest_spec::log::Resource;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Answer, line, reach};
use crate::aside::start::{Aside, Starter, named};
use crate::aside::{News, Order};
use crate::keep::status::Ending;
use crate::logs::route::batch::Part;

/// How long a program may go on after the last line, before it is asked to end.
const ENDING: Duration = Duration::from_secs(5);
/// Longest pause between two looks at what it has not read yet.
const SLOWEST: Duration = Duration::from_millis(50);
/// So much of what it wrote last is kept, in bytes.
const WORDS: usize = 512;

/// See the module's text.
#[derive(Debug)]
pub struct ProgramSink {
    starter: Starter,
    order: Order,
    running: Option<Running>,
}

/// A program that was started.
#[derive(Debug)]
struct Running {
    aside: Aside,
    input: pipe::Sender,
    /// What the lines belong to that it reads.
    told: Option<Arc<Resource>>,
    words: watch::Receiver<VecDeque<u8>>,
    reader: Reader,
    /// How it ended.
    ended: Option<Ending>,
}

/// What reads its words, for as long as somebody wants to know them.
#[derive(Debug)]
struct Reader(JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ProgramSink {
    /// The sink that is the program of this order. Starts nothing.
    pub fn new(starter: Starter, order: Order) -> ProgramSink {
        ProgramSink { starter, order, running: None }
    }

    /// Write records, and wait until they have been read.
    pub async fn deliver(&mut self, part: &Part<'_>) -> Answer {
        if let Some(running) = &mut self.running {
            running.look().await;
        }
        let mut running = match self.running.take().filter(|running| running.ended.is_none()) {
            Some(running) => running,
            None => match self.start() {
                Ok(running) => running,
                Err(error) => {
                    let said = format!("no process can be started: {}", reach::words(&error));
                    return Answer::failed(said);
                }
            },
        };
        let mut header = Vec::new();
        if running.told.as_ref() != Some(part.resource()) {
            line::append_header(part.resource(), part.first_seq(), &mut header);
            running.told = Some(Arc::clone(part.resource()));
        }
        let records = part.bytes();
        let read = running.hand_over(&[&header, &records]).await;
        let answer = match (&running.ended, read) {
            (None, _) => Answer::taken(part.count()),
            (Some(ending), read) => {
                let start = part.pieces()[0].end - part.each().next().map_or(0, <[u8]>::len);
                let read = read.saturating_sub(header.len());
                let ends = part.pieces().iter().map(|piece| piece.end - start);
                let taken = ends.take_while(|end| *end <= read).count();
                let name = named(self.order.command());
                Answer::failed(ended(name, ending, &running.words.borrow())).after(taken)
            }
        };
        self.running = Some(running).filter(|running| running.ended.is_none());
        answer
    }

    /// Nothing more comes: it reads the end of its input, and has a while to finish.
    pub async fn close(&mut self) {
        let Some(Running { mut aside, input, words: _words, reader: _reader, .. }) =
            self.running.take()
        else {
            return;
        };
        drop(input);
        let ending = async { while !matches!(aside.news().await, News::Ended(_)) {} };
        if timeout(ENDING, ending).await.is_err() {
            aside.stop();
            let ending = async { while !matches!(aside.news().await, News::Ended(_)) {} };
            // After that by force: when it is dropped.
            let _ = timeout(ENDING, ending).await;
        }
    }

    fn start(&self) -> io::Result<Running> {
        let (writer, input) = file::input_pipe()?;
        let (reader, output) = file::pipe()?;
        let aside = self.starter.start(&self.order, input, output, None)?;
        let (sender, words) = watch::channel(VecDeque::new());
        let output = pipe::Receiver::from_owned_fd(reader)?;
        let reader = Reader(tokio::task::spawn_local(listen(output, sender)));
        let input = pipe::Sender::from_owned_fd(writer)?;
        Ok(Running { aside, input, told: None, words, reader, ended: None })
    }
}

impl Running {
    /// Hear whether it has ended.
    async fn look(&mut self) {
        while let Ok(news) = timeout(Duration::ZERO, self.aside.news()).await {
            self.hear(news);
        }
    }

    fn hear(&mut self, news: News) {
        if let News::Ended(ending) = news {
            self.ended = Some(ending);
        }
    }

    /// Write, and wait until all is read or the program has ended; how much of it was read.
    async fn hand_over(&mut self, pieces: &[&[u8]]) -> usize {
        let mut written = 0;
        for piece in pieces {
            let mut done = 0;
            while done < piece.len() && self.ended.is_none() {
                tokio::select! {
                    news = self.aside.news() => self.hear(news),
                    count = self.input.write(&piece[done..]) => match count {
                        Ok(count) => done += count,
                        // It reads no more; how it ends is heard next.
                        Err(_) => {
                            let news = self.aside.news().await;
                            self.hear(news);
                        }
                    }
                }
            }
            written += done;
        }
        let mut pause = Duration::from_micros(200);
        while self.ended.is_none() && self.unread() > 0 {
            tokio::select! {
                news = self.aside.news() => self.hear(news),
                () = sleep(pause) => pause = (pause * 2).min(SLOWEST),
            }
        }
        written.saturating_sub(self.unread())
    }

    /// What is in the pipe; all if that can't be told.
    fn unread(&self) -> usize {
        host_sys::socket::unread(self.input.as_fd()).unwrap_or(usize::MAX)
    }
}

/// Keep the last of what it writes.
async fn listen(mut output: pipe::Receiver, words: watch::Sender<VecDeque<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        words.send_modify(|words| {
            words.extend(&buffer[..count]);
            let more = words.len().saturating_sub(WORDS);
            words.drain(..more);
        });
    }
}

/// How a program ended, and its last line.
fn ended(name: &str, ending: &Ending, words: &VecDeque<u8>) -> String {
    let how = match ending {
        Ending::Exit(code) => format!("{name} exited with {code}"),
        Ending::Signal { number, .. } => format!("{name} was ended by signal {number}"),
        Ending::Oom => format!("{name} used more memory than it may"),
        Ending::Denied { call } => format!("{name} made the system call {call}, which is refused"),
        Ending::Killed => format!("{name} was ended by force"),
        Ending::NotStarted { message, .. } => {
            // A diagnostic goes on with the place in the manifest.
            let message = message.lines().next().unwrap_or_default();
            format!("{name} can't be started: {message}")
        }
    };
    let words: Vec<u8> = words.iter().copied().collect();
    let words = String::from_utf8_lossy(&words);
    let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let last: String = last.chars().filter(|c| !c.is_control()).collect();
    if last.is_empty() { how } else { format!("{how}: {last}") }
}
