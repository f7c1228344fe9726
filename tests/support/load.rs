//! Clients that ask a server again and again while something happens to it.
//!
//! Invariant: every request is counted, and every one that was not answered with 200 is told, in
//! the words of what went wrong.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Clients at once.
const CLIENTS: usize = 4;

/// Between two requests of one client: all of them make a thousand a second.
const PAUSE: Duration = Duration::from_millis(4);

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Requests that were answered.
    pub answered: usize,
    /// What went wrong with the others.
    pub failed: Vec<String>,
    /// Every different body.
    pub bodies: BTreeSet<String>,
}

/// Clients at work, on a port of the loopback interface.
#[derive(Debug)]
pub struct Load {
    ends: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Outcome>>,
}

impl Load {
    /// Begin.
    pub fn start(port: u16) -> Load {
        let ends = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let client = |_| {
            let (ends, answered) = (Arc::clone(&ends), Arc::clone(&answered));
            std::thread::spawn(move || client(port, &ends, &answered))
        };
        let clients = (0..CLIENTS).map(client).collect();
        Load { ends, answered, clients }
    }

    /// Wait until so many more requests were answered.
    #[track_caller]
    pub fn goes_on(&self, more: usize) {
        let before = self.answered.load(Ordering::Relaxed);
        super::eventually("requests are answered", || {
            self.answered.load(Ordering::Relaxed) >= before + more
        });
    }

    /// End, and say what came of it.
    pub fn end(self) -> Outcome {
        self.ends.store(true, Ordering::Relaxed);
        let mut all = Outcome::default();
        for client in self.clients {
            let one = client.join().unwrap();
            all.answered += one.answered;
            all.failed.extend(one.failed);
            all.bodies.extend(one.bodies);
        }
        all
    }
}

fn client(port: u16, ends: &AtomicBool, answered: &AtomicUsize) -> Outcome {
    let mut outcome = Outcome::default();
    let mut next = Instant::now();
    while !ends.load(Ordering::Relaxed) {
        let stream = begin(port);
        match stream.and_then(|stream| finish(stream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")) {
            Ok(body) => {
                outcome.answered += 1;
                answered.fetch_add(1, Ordering::Relaxed);
                outcome.bodies.insert(body);
            }
            Err(error) => outcome.failed.push(error.to_string()),
        }
        next += PAUSE;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    outcome
}

/// A connection.
pub fn begin(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

/// Send the rest of a request, and take the body of its answer.
pub fn finish(mut stream: TcpStream, rest: &[u8]) -> io::Result<String> {
    stream.write_all(rest)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.trim().to_owned()),
        _ => Err(io::Error::other(format!("answered {answer:?}"))),
    }
}
