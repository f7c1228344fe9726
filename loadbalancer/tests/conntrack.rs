//! Connections as the kernel tracks them: counted by backend, and ended.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use loadbalancer::conntrack::{Counts, TrackError, Tracker};
use loadbalancer::nft::Transport;
use loadbalancer::ruleset::Ruleset;
use loadbalancer::writer::Writer;
use support::kernel::{Socket, netfilter};
use support::net::{Place, World};
use support::registry;

/// Put a registry in force on the host.
fn load(host: &Place, text: &str) {
    let registry = registry(&toml::from_str(text).unwrap());
    host.run(move || {
        Writer::start(Socket(netfilter()), Ruleset::of(&registry)).unwrap();
    });
}

fn track<T: Send + 'static>(
    host: &Place,
    body: impl FnOnce(&mut Tracker<Socket>) -> Result<T, TrackError> + Send + 'static,
) -> T {
    host.run(move || body(&mut Tracker::new(Socket(netfilter()))).unwrap())
}

fn counts(host: &Place) -> Counts {
    track(host, Tracker::count)
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A server that says back what it hears.
fn echo(place: &Place, address: &str) {
    let address = at(address);
    place.run(move || {
        let listener = TcpListener::bind(address).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut byte = [0];
                    while let Ok(1) = stream.read(&mut byte) {
                        let _ = stream.write_all(&byte);
                    }
                });
            }
        });
    });
}

fn open(place: &Place, to: &str) -> TcpStream {
    let to = at(to);
    let mut stream =
        place.run(move || TcpStream::connect_timeout(&to, Duration::from_secs(30)).unwrap());
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    speak(&mut stream).unwrap();
    stream
}

fn speak(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])
}

/// Of 1 and 2 one goes on; 4 comes for both.
fn echoes(backends: &str) -> String {
    format!(
        "[services.echo]\nlisten = [\"tcp 7\"]\npolicy = \"round-robin\"\n\
         [services.echo.backends]\n\"3\" = {{ target = \"[fd99::3]:7\" }}\n{backends}"
    )
}

#[test]
fn connections_are_counted_by_backend_and_end_when_they_are_told_to() {
    let world = World::new();
    for (backend, number) in world.backends.iter().zip(1..) {
        echo(backend, &format!("10.99.0.{number}:7"));
        echo(backend, &format!("[fd99::{number}]:7"));
    }
    let World { client, host, .. } = &world;
    load(host, &echoes("1 = { target = \"10.99.0.1:7\" }\n2 = { target = \"10.99.0.2:7\" }"));
    let mut streams: Vec<_> = (0..4).map(|_| open(client, "10.77.0.1:7")).collect();
    let mut sixth = [open(client, "[fd77::1]:7"), open(host, "[fd77::1]:7")];
    // Who goes to a backend itself was not sent there.
    let mut itself = open(client, "10.99.0.1:7");
    let tcp = |target: &str| (Transport::Tcp, at(target));
    let [one, two, three] = ["10.99.0.1:7", "10.99.0.2:7", "[fd99::3]:7"].map(tcp);
    assert_eq!(counts(host), [(one, 2), (two, 2), (three, 2)].into());
    // One that ends counts no more, though the kernel remembers it for minutes.
    drop(streams.pop());
    let begun = Instant::now();
    while counts(host).values().sum::<u64>() != 5 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", counts(host));
        std::thread::sleep(Duration::from_millis(20));
    }
    // Out of the slots, what they have goes on; what is left of it is ended.
    load(host, &echoes("4 = { target = \"10.99.0.3:7\" }"));
    streams.iter_mut().for_each(|stream| speak(stream).unwrap());
    let ended = track(host, move |tracker| tracker.end_of(&[one, two]));
    assert!(ended >= 3, "{ended}");
    assert_eq!(counts(host), [(three, 2)].into());
    for stream in &mut streams {
        assert_eq!(speak(stream).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    sixth.iter_mut().chain([&mut itself]).for_each(|stream| speak(stream).unwrap());
}

/// A client that never pauses: one socket, whose kernel's flow is never over.
fn caller(place: &Place, to: &str) -> UdpSocket {
    let to = at(to);
    place.run(move || {
        let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).unwrap();
        socket.connect(to).unwrap();
        socket
    })
}

/// Who answers it; nobody, if that is told or nobody does for a while.
fn answer(socket: &UdpSocket, patience: Duration) -> Option<char> {
    socket.set_read_timeout(Some(patience)).unwrap();
    let mut buffer = [0; 64];
    let sent = socket.send(b"?");
    let length = sent.and_then(|_| socket.recv(&mut buffer)).ok()?;
    std::str::from_utf8(&buffer[..length]).unwrap().chars().next()
}

const PATIENCE: Duration = Duration::from_secs(30);
/// Nobody answers however long one waits.
const LITTLE: Duration = Duration::from_millis(300);

fn datagrams(target: &str) -> String {
    format!(
        "[services.datagrams]\nlisten = [\"udp 8080\"]\npolicy = \"round-robin\"\n\
         [services.datagrams.backends]\n1 = {{ target = \"{target}\" }}"
    )
}

#[test]
fn datagrams_find_who_serves_now() {
    let world = World::new();
    let World { client, host, .. } = &world;
    for (to, first, second, names) in [
        ("10.77.0.1:8080", "10.99.0.1:80", "10.99.0.2:80", ['1', '2']),
        ("[fd77::1]:8080", "[fd99::2]:80", "[fd99::3]:80", ['2', '3']),
    ] {
        load(host, "");
        let caller = caller(client, to);
        assert_eq!(answer(&caller, LITTLE), None, "{to}: nobody serves");
        load(host, &datagrams(first));
        assert_eq!(answer(&caller, LITTLE), None, "{to}: it is still sent to nobody");
        let place = at(to);
        track(host, move |tracker| tracker.forget_udp(&[], |asked| asked == place));
        assert_eq!(answer(&caller, PATIENCE), Some(names[0]), "{to}");
        // From one to the other.
        load(host, &datagrams(second));
        assert_eq!(answer(&caller, PATIENCE), Some(names[0]), "{to}: it stays with who is gone");
        let gone = at(first);
        let forgotten = track(host, move |tracker| tracker.forget_udp(&[gone], |_| false));
        assert!(forgotten > 0);
        assert_eq!(answer(&caller, PATIENCE), Some(names[1]), "{to}");
        let left = counts(host);
        assert_eq!(left.get(&(Transport::Udp, gone)), None);
        assert_eq!(left.get(&(Transport::Udp, at(second))), Some(&1));
    }
}
