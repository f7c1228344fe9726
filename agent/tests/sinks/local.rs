//! Sinks on this host: the journal, and syslog over a socket.

use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::time::Duration;

use super::scene::{Scene, sink, until};

/// What stands in for the journal: its socket, and each message it was sent, whole.
struct Journal(UnixDatagram);

impl Journal {
    fn new(path: &Path) -> Journal {
        let _ = std::fs::remove_file(path);
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Journal(socket)
    }

    /// The next message, out of the datagram or out of the sealed file that came with it.
    fn next(&self) -> Vec<u8> {
        let mut buffer = vec![0; 4 * 1024 * 1024];
        let received = host_sys::socket::receive(self.0.as_fd(), &mut buffer, true);
        let received = received.unwrap().unwrap();
        let Some(file) = received.descriptors.into_iter().next() else {
            return buffer[..received.length].to_vec();
        };
        assert_eq!(received.length, 0, "one or the other");
        // journald refuses a file that could still be changed.
        let mut file = std::fs::File::from(file);
        let written = std::io::Write::write(&mut file, b"x");
        assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
        let mut message = Vec::new();
        std::os::unix::fs::FileExt::read_at(&file, &mut buffer, 0).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        file.read_to_end(&mut message).unwrap();
        message
    }

    /// The next message's number, and how long its text is.
    fn next_seq(&self) -> (u64, usize) {
        let message = self.next();
        let text = String::from_utf8_lossy(&message);
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name}")).to_owned()
        };
        assert_eq!(field("SYSLOG_IDENTIFIER="), "shop");
        assert_eq!(field("HOSTCTL_SERVICE="), "web");
        (field("HOSTCTL_SEQ=").parse().unwrap(), field("MESSAGE=").len())
    }
}

#[test]
fn the_journal_gets_every_record_whatever_its_size() {
    let mut scene = Scene::new();
    scene.around.journal = scene.file("journal");
    let journal = Journal::new(&scene.around.journal);
    let routing = scene.route(vec![sink("journal")]);
    // Its queue holds few: who is not read waits.
    scene.write_numbers(1..=3000);
    // More than a datagram takes here (net.core.wmem_max).
    scene.write(["x".repeat(1_500_000)]);
    scene.write_numbers(3002..=3010);
    for seq in 1..=3010 {
        let (found, length) = journal.next_seq();
        assert_eq!(found, seq);
        assert_eq!(length, if seq == 3001 { 1_500_000 } else { format!("line {seq}").len() });
    }
    let metrics = routing.finish(&scene);
    assert_eq!((metrics.sinks[0].delivered, metrics.sinks[0].parked), (3010, 0));
}

#[test]
fn a_journal_that_is_away_gets_what_it_missed() {
    let mut scene = Scene::new();
    scene.around.journal = scene.file("journal");
    let routing = scene.route(vec![sink("journal")]);
    scene.write_numbers(1..=10);
    let said = |scene: &Scene, words: &str| {
        let sinks = scene.metrics().sinks;
        sinks
            .first()
            .and_then(|sink| sink.last_error.clone())
            .is_some_and(|e| e.said.contains(words))
    };
    until("that there is none", || said(&scene, "there is no journal on this host"));
    let journal = Journal::new(&scene.around.journal);
    assert!((1..=10).all(|seq| journal.next_seq().0 == seq));
    drop(journal);
    scene.write_numbers(11..=20);
    until("that it does not run", || said(&scene, "the journal does not run"));
    let journal = Journal::new(&scene.around.journal);
    assert!((11..=20).all(|seq| journal.next_seq().0 == seq));
    routing.finish(&scene);
}

/// Read so many messages with their lengths, each with the next number.
fn read_messages(stream: impl Read, count: u64) {
    let mut bytes = BufReader::new(stream).bytes().map(Result::unwrap);
    for seq in 1..=count {
        let length: Vec<u8> = bytes.by_ref().take_while(|byte| *byte != b' ').collect();
        let length: usize = String::from_utf8(length).unwrap().parse().unwrap();
        let message: Vec<u8> = bytes.by_ref().take(length).collect();
        let message = String::from_utf8(message).unwrap();
        assert!(message.ends_with(&format!("line {seq}")), "{message}");
    }
}

#[test]
fn a_receiver_that_closes_its_own_side_or_talks_gets_everything() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut scene = Scene::new();
    let address = format!("syslog:tcp://{}", listener.local_addr().unwrap());
    let routing = scene.route(vec![sink(&address)]);
    scene.write_numbers(1..=100);
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(&[b'?'; 100_000]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    scene.write_numbers(101..=500);
    read_messages(stream, 500);
    let metrics = routing.finish(&scene);
    assert_eq!((metrics.sinks[0].delivered, metrics.sinks[0].retries), (500, 0));
}

#[test]
fn a_receiver_that_takes_nothing_for_a_while_is_connected_to_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut scene = Scene::new();
    scene.around.patience.answer = Duration::from_millis(300);
    let routing =
        scene.route(vec![sink(&format!("syslog:tcp://{}", listener.local_addr().unwrap()))]);
    // More than the buffers of both sides hold.
    scene.write((0..400).map(|_| "z".repeat(60_000)));
    let (first, _) = listener.accept().unwrap();
    let (second, _) = listener.accept().unwrap();
    drop(first);
    let mut bytes = BufReader::new(second).bytes().map(Result::unwrap);
    for seq in 1..=400 {
        let length: Vec<u8> = bytes.by_ref().take_while(|byte| *byte != b' ').collect();
        let length: usize = String::from_utf8(length).unwrap().parse().unwrap();
        let message: Vec<u8> = bytes.by_ref().take(length).collect();
        let message = String::from_utf8(message).unwrap();
        assert!(message.contains(&format!(" seq=\"{seq}\"]")), "{seq}");
    }
    let metrics = routing.finish(&scene);
    let said = &metrics.sinks[0].last_error.as_ref().unwrap().said;
    assert!(said.ends_with(": it takes nothing"), "{said}");
}

#[test]
fn syslog_over_a_stream_of_this_host_is_read_to_the_end() {
    let mut scene = Scene::new();
    let path = scene.file("log");
    let listener = UnixListener::bind(&path).unwrap();
    let routing = scene.route(vec![sink(&format!("syslog:unix:{}", path.display()))]);
    scene.write_numbers(1..=500);
    // The first connection ends with half of the first message read.
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 100]).unwrap();
    drop(stream);
    let (stream, _) = listener.accept().unwrap();
    read_messages(stream, 500);
    let metrics = routing.finish(&scene);
    assert_eq!(metrics.sinks[0].delivered, 500);
    let said = &metrics.sinks[0].last_error.as_ref().unwrap().said;
    assert!(said.starts_with(&format!("{}: ", path.display())), "{said}");
}
