//! A hostd of the benchmark's own, and a client of it.
//!
//! Owns the process and its directories. Invariant: dropped, it has stopped every app it kept, and
//! has ended. Never measures.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Outcome;
use crate::stage::{Stage, create};

/// The longest anything is waited for; a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(10);

/// The daemon, with everything it says happens.
pub(crate) struct Hostd {
    child: Child,
    socket: PathBuf,
    events: Receiver<(Instant, Value)>,
}

impl Hostd {
    /// Start one with directories of its own, and wait until it answers.
    pub(crate) fn start(stage: &Stage, name: &str) -> Outcome<Hostd> {
        let folder = stage.folder(name)?;
        let mut command = Command::new(&stage.hostd);
        let run = stage.memory.join(name);
        create(&run)?;
        command.env("HOSTCTL_RUN_DIR", &run);
        for part in ["STATE", "CONFIG"] {
            let directory = stage.folder(&format!("{name}/{part}"))?;
            command.env(format!("HOSTCTL_{part}_DIR"), directory);
        }
        let log = folder.join("log");
        let file = std::fs::File::create(&log)
            .map_err(|error| format!("create {}: {error}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .map_err(|error| format!("start {}: {error}", stage.hostd.display()))?;
        let (_, events) = channel();
        let mut hostd = Hostd { child, socket: run.join("hostd.sock"), events };
        let end = Instant::now() + PATIENCE;
        while hostd.ask("GET", "/v1/host", &Value::Null).is_err() {
            if Instant::now() > end || hostd.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("start hostd: {said}"));
            }
            std::thread::sleep(PAUSE);
        }
        hostd.events = follow(&hostd.socket)?;
        Ok(hostd)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ask, and be answered with 200.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Outcome<Value> {
        let failed = |error| format!("{method} {path}: {error}");
        let mut stream = send(&self.socket, method, path, body).map_err(failed)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(failed)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(format!("{method} {path}: {body}"));
        }
        // One chunk or none: the answer is the line that is an object.
        let line = body.lines().find(|line| line.starts_with('{')).unwrap_or(body);
        serde_json::from_str(line).map_err(|error| format!("{method} {path}: {error}: {body}"))
    }

    /// Deploy this manifest of that folder, at a port offset.
    pub(crate) fn deploy(&self, text: &str, folder: &Path, offset: u16) -> Outcome<Value> {
        let manifest = json!({ "name": "app.toml", "text": text, "folder": folder });
        let overrides = json!({ "port_offset": offset });
        self.ask("POST", "/v1/deploy", &json!({ "manifest": manifest, "overrides": overrides }))
    }

    /// Remove an app, and wait until nothing of it is left.
    pub(crate) fn remove(&self, app: &str) -> Outcome<()> {
        self.ask("DELETE", &format!("/v1/apps/{app}"), &Value::Null)?;
        let there = || self.ask("GET", &format!("/v1/apps/{app}"), &Value::Null).is_ok();
        wait(&format!("{app} is removed"), || !there())
    }

    /// Forget what has happened so far.
    pub(crate) fn forget(&self) {
        while self.events.try_recv().is_ok() {}
    }

    /// Wait for so many events of this kind; when the last one came.
    pub(crate) fn wait_for(&self, kind: &str, count: usize) -> Outcome<Instant> {
        let (end, mut seen) = (Instant::now() + PATIENCE, 0);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let (at, event) = match self.events.recv_timeout(left) {
                Ok(found) => found,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("wait for {count} events {kind}: {seen} came"));
                }
                Err(RecvTimeoutError::Disconnected) => return Err("hostd has ended".to_owned()),
            };
            if event["kind"] == "failed" || event["kind"] == "rolled-back" {
                return Err(format!("hostd: {}", event["text"]));
            }
            seen += usize::from(event["kind"] == kind);
            if seen == count {
                return Ok(at);
            }
        }
    }
}

impl Drop for Hostd {
    fn drop(&mut self) {
        let none = |host: Value| host["instances"] == 0;
        let _ = self.ask("POST", "/v1/halt", &json!({}));
        let _ =
            wait("every app ends", || self.ask("GET", "/v1/host", &Value::Null).is_ok_and(none));
        end(&mut self.child, "TERM");
    }
}

/// Send a signal to a child and wait for it.
pub(crate) fn end(child: &mut Child, signal: &str) {
    let script = format!("kill -s {signal} {}", child.id());
    let _ = Command::new("sh").args(["-c", &script]).status();
    let _ = child.wait();
}

/// Look again and again.
pub(crate) fn wait(what: &str, mut done: impl FnMut() -> bool) -> Outcome<()> {
    let end = Instant::now() + PATIENCE;
    while !done() {
        if Instant::now() > end {
            return Err(format!("wait until {what}: it took too long"));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn send(socket: &Path, method: &str, path: &str, body: &Value) -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: hostd\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )?;
    Ok(stream)
}

/// Every event from now on, with when it came.
fn follow(socket: &Path) -> Outcome<Receiver<(Instant, Value)>> {
    let stream = send(socket, "GET", "/v1/events?follow=true", &Value::Null)
        .map_err(|error| format!("follow the events: {error}"))?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        // Lines between are heads and the sizes of chunks.
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let Ok(event @ Value::Object(_)) = serde_json::from_str(&line) else { continue };
            if sender.send((Instant::now(), event)).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}
