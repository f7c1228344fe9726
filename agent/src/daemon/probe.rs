//! Asking an instance how it is: readiness after its start, health while it runs.
//!
//! Owns the timing and the questions. Invariant: one question at a time, each within its time; a
//! watcher that is dropped asks nothing more. What follows from an answer is the supervisor's
//! matter.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::event::{Event, Mark};
use super::services::{Health, Probe, ReadyBy, Watch};

/// First pause between two tries at an instance that is starting. It grows to [`SLOWEST`], slowly
/// enough that being ready is found out late by an eighth of the time it took, at most.
const FASTEST: Duration = Duration::from_millis(5);

/// Longest pause between two tries at an instance that is starting.
const SLOWEST: Duration = Duration::from_millis(250);

/// How long one try at a port may take while nothing else is said.
const TRY: Duration = Duration::from_secs(1);

/// What a watcher found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is ready.
    Ready,
    /// It is not healthy any more: what it answered.
    Sick(String),
}

/// A program to run inside an instance, and whom to tell its exit: `Err` is why it did not run.
#[derive(Debug)]
pub struct InsideCheck {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Gets the exit code.
    pub reply: oneshot::Sender<Result<u8, String>>,
}

/// Whom to ask, and whom to tell.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its main port, if it has one of TCP.
    pub port: Option<SocketAddr>,
    /// The way there, where another could lead to somebody else once the instance has ended.
    pub way: Option<Way>,
    /// Which life of which instance.
    pub mark: Mark,
    /// Takes verdicts, and programs to run inside.
    pub sender: UnboundedSender<Event>,
}

/// How an address of an instance's own is reached while it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// From itself: it is one of this host's.
    Itself,
    /// By this device.
    Device(String),
}

impl Subject {
    /// `false` when nobody wants to know any more.
    fn tell(&self, verdict: Verdict) -> bool {
        self.sender.send(Event::Verdict(self.mark.clone(), verdict)).is_ok()
    }
}

/// Watch an instance whose program has just been executed (`ready` if it was ready before, for one
/// that an earlier hostd started), and tell what is found out, until nobody listens.
pub async fn watch(subject: Subject, watch: Watch, ready: bool) {
    if !ready && !until_ready(&subject, &watch).await {
        return;
    }
    let Some(health) = &watch.health else { return };
    let mut failures = 0;
    loop {
        sleep(Duration::from_millis(health.every_ms)).await;
        match ask(&subject, health).await {
            Ok(()) => failures = 0,
            Err(said) => {
                failures += 1;
                if failures >= health.fall && !subject.tell(Verdict::Sick(said)) {
                    return;
                }
            }
        }
    }
}

/// Wait for readiness and tell; `false` when nobody wants to know any more.
async fn until_ready(subject: &Subject, watch: &Watch) -> bool {
    match (&watch.ready, &watch.health) {
        // The keeper hears it and tells.
        (ReadyBy::Notify, _) => return true,
        (ReadyBy::Up(milliseconds), _) => sleep(Duration::from_millis(*milliseconds)).await,
        (ReadyBy::Port, _) | (ReadyBy::Health, None) => {
            let health = Health {
                probe: Probe::Tcp,
                every_ms: 0,
                within_ms: TRY.as_millis() as u64,
                rise: 1,
                fall: 1,
            };
            until_healthy(subject, &health).await;
        }
        (ReadyBy::Health, Some(health)) => until_healthy(subject, health).await,
    }
    subject.tell(Verdict::Ready)
}

async fn until_healthy(subject: &Subject, health: &Health) {
    let mut pause = FASTEST;
    let mut successes = 0;
    while successes < health.rise {
        let next = Instant::now() + pause;
        match ask(subject, health).await {
            Ok(()) => successes += 1,
            Err(_) => {
                successes = 0;
                pause = (pause + pause / 8).min(SLOWEST);
            }
        }
        if successes < health.rise {
            sleep_until(next).await;
        }
    }
}

/// One question; an `Err` says what was asked and what came back.
async fn ask(subject: &Subject, health: &Health) -> Result<(), String> {
    let within = Duration::from_millis(health.within_ms);
    let (asked, answer) = match &health.probe {
        Probe::Tcp => ("a connection".to_owned(), timeout(within, connect(subject)).await),
        Probe::Http(path) => (format!("GET {path}"), timeout(within, get(subject, path)).await),
        Probe::Exec(command) => (command.join(" "), timeout(within, exec(subject, command)).await),
    };
    match answer {
        Ok(Ok(())) => Ok(()),
        Ok(Err(said)) => Err(format!("{asked}: {said}")),
        Err(_) => Err(format!("{asked}: no answer within {} ms", health.within_ms)),
    }
}

async fn open(subject: &Subject) -> Result<TcpStream, String> {
    let port = subject.port.ok_or("it has no main port")?;
    connected(port, subject.way.as_ref()).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("port {} is closed", port.port()),
        _ => error.to_string(),
    })
}

async fn connected(port: SocketAddr, way: Option<&Way>) -> io::Result<TcpStream> {
    let socket = match port {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    match way {
        Some(Way::Itself) => socket.bind(SocketAddr::new(port.ip(), 0))?,
        Some(Way::Device(name)) => socket.bind_device(Some(name.as_bytes()))?,
        None => {}
    }
    socket.connect(port).await
}

async fn connect(subject: &Subject) -> Result<(), String> {
    open(subject).await.map(drop)
}

/// `GET` answers 2xx or 3xx (RFC 9110).
async fn get(subject: &Subject, path: &str) -> Result<(), String> {
    let stream = open(subject).await?;
    let host = stream.peer_addr().map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let request = Request::get(path)
        .header(header::HOST, host.to_string())
        .header(header::USER_AGENT, "hostctl-health")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = async { sender.send_request(request).await.map(|answer| answer.status()) };
    // The connection's own end says nothing: what it brought, the answer has.
    let driven = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    let status = tokio::select! {
        status = answer => status.map_err(|error| error.to_string())?,
        () = driven => return Err("the connection was closed".to_owned()),
    };
    match status.is_success() || status.is_redirection() {
        true => Ok(()),
        false => Err(format!("answered {}", status.as_u16())),
    }
}

async fn exec(subject: &Subject, command: &[String]) -> Result<(), String> {
    let (reply, answer) = oneshot::channel();
    let check = InsideCheck { command: command.to_vec(), reply };
    let event = Event::Inside(subject.mark.clone(), check);
    subject.sender.send(event).map_err(|_| "the instance has ended".to_owned())?;
    match answer.await {
        Ok(Ok(0)) => Ok(()),
        Ok(Ok(code)) => Err(format!("exited with {code}")),
        Ok(Err(why)) => Err(why),
        Err(_) => Err("the instance has ended".to_owned()),
    }
}
