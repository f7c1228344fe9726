//! A server of HTTP that does as a script says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// A request that came whole.
#[derive(Debug, Clone)]
pub struct Request {
    /// The path that was asked for.
    pub path: String,
    headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
    /// Which connection it came by, from 0.
    pub connection: usize,
}

impl Request {
    /// A header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The lines of the body.
    pub fn lines(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The numbers of the records in the lines of the body.
    pub fn seqs(&self) -> Vec<u64> {
        self.lines().iter().filter_map(|line| line["seq"].as_u64()).collect()
    }
}

/// What a server does with a request.
#[derive(Debug, Clone)]
pub enum Reaction {
    /// Answer with this status, these further headers and this body.
    Answer(u16, &'static str, String),
    /// Write these bytes, whatever they are, and close.
    Raw(&'static str),
    /// Close.
    Close,
    /// Close the way back, and go on reading.
    HalfClose,
    /// Never answer.
    Hang,
    /// Answer a byte at a time, for ever.
    Trickle,
    /// Answer with a body that has no end.
    Flood,
}

/// Answer that all is well.
pub fn ok() -> Reaction {
    Reaction::Answer(204, "", String::new())
}

/// A server in threads, for as long as the test runs.
pub struct Server {
    pub port: u16,
    taken: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// A server that does to each request what `react` says, which hears how many came before it.
    /// Requests that were answered with a 2xx count as taken.
    pub fn new(react: impl Fn(usize, &Request) -> Reaction + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (of_server, react) = (Arc::clone(&taken), Arc::new(react));
        let count = Arc::new(Mutex::new(0));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (taken, react) = (Arc::clone(&of_server), Arc::clone(&react));
                let count = Arc::clone(&count);
                std::thread::spawn(move || {
                    serve(stream.unwrap(), connection, &taken, &count, react.as_ref())
                });
            }
        });
        Server { port, taken }
    }

    /// What it took.
    pub fn taken(&self) -> Vec<Request> {
        self.taken.lock().unwrap().clone()
    }

    /// The numbers of all records that it took, in its order.
    pub fn seqs(&self) -> Vec<u64> {
        self.taken().iter().flat_map(Request::seqs).collect()
    }
}

fn serve(
    stream: TcpStream,
    connection: usize,
    taken: &Mutex<Vec<Request>>,
    count: &Mutex<usize>,
    react: &(impl Fn(usize, &Request) -> Reaction + ?Sized),
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let request = read(&mut reader, connection)?;
        let before = {
            let mut count = count.lock().unwrap();
            *count += 1;
            *count - 1
        };
        match react(before, &request) {
            Reaction::Answer(status, headers, body) => {
                if (200..300).contains(&status) {
                    taken.lock().unwrap().push(request);
                }
                let length = body.len();
                let length = match status {
                    204 => String::new(),
                    _ => format!("Content-Length: {length}\r\n"),
                };
                write!(stream, "HTTP/1.1 {status} x\r\n{headers}{length}\r\n{body}").ok()?;
            }
            Reaction::Raw(bytes) => {
                stream.write_all(bytes.as_bytes()).ok()?;
                return None;
            }
            Reaction::Close => return None,
            Reaction::HalfClose => {
                stream.shutdown(Shutdown::Write).ok()?;
                std::io::copy(&mut reader, &mut std::io::sink()).ok()?;
                return None;
            }
            Reaction::Hang => {
                std::io::copy(&mut reader, &mut std::io::sink()).ok()?;
                return None;
            }
            Reaction::Trickle => {
                for byte in b"HTTP/1.1 200 x\r\nX: ".iter().chain(std::iter::repeat(&b'y')) {
                    stream.write_all(&[*byte]).ok()?;
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
            Reaction::Flood => {
                stream.write_all(b"HTTP/1.1 500 x\r\n\r\n").ok()?;
                loop {
                    stream.write_all(&[b'z'; 4096]).ok()?;
                }
            }
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>, connection: usize) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let mut request = Request { path, headers, body: Vec::new(), connection };
    let length: u64 = request.header("content-length")?.parse().unwrap();
    reader.take(length).read_to_end(&mut request.body).ok()?;
    (request.body.len() as u64 == length).then_some(request)
}
