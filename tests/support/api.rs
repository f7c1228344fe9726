//! The plainest client of hostd's API: HTTP/1.1 over a Unix socket, one request a connection.
//!
//! Invariant: nothing is taken for granted of what comes back; a test sees status, head and body as
//! they were sent. A client of another user is another process: the kernel says who asks.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::programs;

/// Longest time that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 200 and so on.
    pub status: u16,
    /// The lines before the body.
    pub head: String,
    /// The body, put together.
    pub body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Answer> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = &bytes[end + 4..];
        let body = if chunked { joined(body) } else { body.to_vec() };
        Some(Answer { status, head, body: String::from_utf8_lossy(&body).into_owned() })
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of what was done.
    #[track_caller]
    pub fn done(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()
    }

    /// The message and hint of what was refused with this status.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        let body = self.json();
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        assert!(!text("message").is_empty() && body["exit_code"].is_u64(), "{body}");
        format!("{}\n{}", text("message"), text("hint"))
    }
}

fn joined(mut body: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = String::from_utf8_lossy(&body[..end]).into_owned();
        let Ok(size @ 1..) = usize::from_str_radix(size.trim(), 16) else { break };
        let Some(chunk) = body.get(end + 2..end + 2 + size) else { break };
        all.extend_from_slice(chunk);
        body = body.get(end + 4 + size..).unwrap_or_default();
    }
    all
}

/// A client, by whom it asks as.
#[derive(Debug, Clone)]
pub struct Api {
    /// hostd's socket.
    pub socket: PathBuf,
    /// uid, gid and further groups; this process's own without.
    pub user: Option<(u32, u32, Vec<u32>)>,
}

impl Api {
    /// Ask; `None` when there was no whole answer.
    pub fn try_ask(&self, method: &str, path: &str, body: &Value) -> Option<Answer> {
        self.try_ask_with(method, path, body, "Connection: close")
    }

    /// Ask with this line in the head, and be answered.
    #[track_caller]
    pub fn ask_with(&self, method: &str, path: &str, body: &Value, line: &str) -> Answer {
        let answer = self.try_ask_with(method, path, body, line);
        answer.unwrap_or_else(|| panic!("{method} {path} was not answered"))
    }

    fn try_ask_with(&self, method: &str, path: &str, body: &Value, line: &str) -> Option<Answer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: hostd\r\n{line}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), body.as_bytes()].concat();
        let answer = match &self.user {
            None => self.send(&request)?,
            Some(user) => self.send_as(&request, user),
        };
        Answer::parse(&answer)
    }

    /// Ask and be answered.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let answer = self.try_ask(method, path, body);
        answer.unwrap_or_else(|| panic!("{method} {path} was not answered"))
    }

    /// A connection.
    pub fn connect(&self) -> std::io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    fn send(&self, request: &[u8]) -> Option<Vec<u8>> {
        let mut stream = self.connect().ok()?;
        // A refusal can come before the request was read whole.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        (read.is_ok() || !answer.is_empty()).then_some(answer)
    }

    fn send_as(&self, request: &[u8], (uid, gid, groups): &(u32, u32, Vec<u32>)) -> Vec<u8> {
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let groups = match groups.is_empty() {
            true => "--clear-groups".to_owned(),
            false => format!("--groups={}", groups.join(",")),
        };
        let client = self.socket.with_file_name("../pass");
        if !client.exists() {
            programs::put("pass", &client);
        }
        let mut child = Command::new("setpriv")
            .args([format!("--reuid={uid}"), format!("--regid={gid}"), groups])
            .args([&client, &self.socket])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv(1) is needed: install the package util-linux");
        child.stdin.take().unwrap().write_all(request).unwrap();
        child.wait_with_output().unwrap().stdout
    }

    /// Follow the events from a number on.
    pub fn follow(&self, query: &str) -> Following {
        let mut stream = self.connect().unwrap();
        let head = format!("GET /v1/events?{query}&follow=true HTTP/1.1\r\nHost: hostd\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert!(stream.read_line(&mut line).unwrap() > 0, "no answer to follow");
        }
        Following { stream, waiting: String::new() }
    }
}

/// Events as they happen.
#[derive(Debug)]
pub struct Following {
    stream: BufReader<UnixStream>,
    waiting: String,
}

impl Iterator for Following {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((line, rest)) = self.waiting.split_once('\n') {
                let event = serde_json::from_str(line).unwrap();
                self.waiting = rest.to_owned();
                return Some(event);
            }
            let mut size = String::new();
            self.stream.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk).ok()?;
            chunk.truncate(size);
            self.waiting += &String::from_utf8(chunk).unwrap();
        }
    }
}

impl Following {
    /// The next event of this kind whose text holds this.
    #[track_caller]
    pub fn until(&mut self, kind: &str, part: &str) -> Value {
        let mut passed = Vec::new();
        for event in &mut *self {
            if event["kind"] == kind && event["text"].as_str().unwrap().contains(part) {
                return event;
            }
            passed.push(event);
        }
        panic!("no {kind} with {part:?}, but {passed:#?}");
    }
}
