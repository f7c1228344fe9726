//! A connection, against a stand-in for systemd at a socket of the test's own.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::manager;
use super::request::{self, Answer, Wanted};
use crate::bus::{Bus, BusError};

/// Listen, answer the greeting with `greeting`, and then say `said`, after which the connection is
/// held open for as long as the caller listens.
fn stand_in(name: &str, greeting: &'static [u8], said: Vec<u8>) -> PathBuf {
    let socket = std::env::temp_dir().join(format!("hostctl-scope-{}-{name}", std::process::id()));
    let listener = UnixListener::bind(&socket).unwrap();
    let bound = socket.clone();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::fs::remove_file(bound).unwrap();
        let mut heard = [0; 64];
        let count = stream.read(&mut heard).unwrap();
        assert_eq!(&heard[..count], b"\0AUTH EXTERNAL 3432\r\nBEGIN\r\n", "in one piece");
        stream.write_all(greeting).unwrap();
        stream.write_all(&said).unwrap();
        while stream.read(&mut heard).is_ok_and(|count| count > 0) {}
    });
    socket
}

fn ask(socket: &std::path::Path, patience: Duration) -> Result<Answer, BusError> {
    let mut bus = Bus::connect(socket, 42, Instant::now() + patience)?;
    let wanted = Wanted { unit: "x.scope", description: "x", slice: None, caller: None, pid: 1 };
    super::ask(&mut bus, &[request::start(wanted)])
}

#[test]
fn a_rejection_is_told() {
    let socket = stand_in("rejects", b"REJECTED EXTERNAL\r\n", Vec::new());
    let error = ask(&socket, Duration::from_secs(60)).unwrap_err();
    assert!(matches!(error, BusError::Rejected(said) if said == "REJECTED EXTERNAL"));
}

#[test]
fn who_never_answers_is_not_waited_for() {
    let socket = stand_in("silent", b"OK 0123\r\n", Vec::new());
    let error = ask(&socket, Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error, BusError::Silent), "{error}");
}

#[test]
fn a_refusal_is_heard_among_other_news() {
    // An unrelated signal, then the error that answers call 1.
    let mut said = b"l\x04\0\x01\0\0\0\0\x01\0\0\0\x0c\0\0\0\x03\x01s\0\x03\0\0\0New\0".to_vec();
    said.extend([0; 4]);
    said.extend(b"l\x03\0\x01\x07\0\0\0\x02\0\0\0\x16\0\0\0\x05\x01u\0\x01\0\0\0");
    said.extend(b"\x04\x01s\0\x05\0\0\0a.b.C\0\0\0\x02\0\0\0no\0");
    let socket = stand_in("refuses", b"OK 0123\r\n", said);
    let answer = ask(&socket, Duration::from_secs(60)).unwrap();
    assert_eq!(answer, Answer::Refused("a.b.C".to_owned(), "no".to_owned()));
}

#[test]
fn what_is_no_d_bus_ends_the_conversation() {
    let socket = stand_in("babbles", b"OK 0123\r\n", vec![0xff; 64]);
    let error = ask(&socket, Duration::from_secs(60)).unwrap_err();
    assert!(matches!(error, BusError::Malformed), "{error}");
}

/// An answer to call 1 with these types and these arguments.
fn answer(signature: &[u8; 1], arguments: &[u8]) -> Vec<u8> {
    let mut said = b"l\x02\0\x01".to_vec();
    said.extend((arguments.len() as u32).to_le_bytes());
    said.extend(b"\x02\0\0\0\x0f\0\0\0\x05\x01u\0\x01\0\0\0\x08\x01g\0\x01");
    said.extend(signature);
    said.extend(b"\0\0");
    said.extend(arguments);
    said
}

fn state(name: &str, said: Vec<u8>) -> Result<String, BusError> {
    let socket = stand_in(name, b"OK 0123\r\n", said);
    let mut bus = Bus::connect(&socket, 42, Instant::now() + Duration::from_secs(60))?;
    manager::state(&mut bus, Vec::new())
}

#[test]
fn systemd_says_how_it_stands() {
    let said = answer(b"v", b"\x01s\0\0\x08\0\0\0stopping\0");
    assert_eq!(state("stands", said).unwrap(), "stopping");
}

#[test]
fn a_state_that_is_no_text_is_none() {
    let said = answer(b"v", b"\x01u\0\0\x08\0\0\0");
    let error = state("counts", said).unwrap_err();
    assert!(matches!(error, BusError::Malformed), "{error}");
}
