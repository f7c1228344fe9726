//! A client, a host and three backends, each in a network namespace of its own.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // tests start programs

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use nix::unistd::gettid;

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace: a thread that lives in it. It goes with the value.
pub struct Place {
    jobs: Sender<Job>,
    tid: i32,
}

impl Place {
    pub fn new() -> Place {
        let (jobs, work) = channel::<Job>();
        let (told, tid) = channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET)
                .expect("this test makes network namespaces: run it as root");
            told.send(gettid().as_raw()).unwrap();
            work.into_iter().for_each(|job| job());
        });
        let place = Place { jobs, tid: tid.recv().unwrap() };
        place.ip("link set lo up");
        place
    }

    /// Do something in it, and wait for that.
    pub fn run<T: Send + 'static>(&self, body: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        self.jobs.send(Box::new(move || _ = done.send(body()))).unwrap();
        result.recv().expect("it did not panic")
    }

    /// Do something in it meanwhile.
    pub fn start<T: Send + 'static>(
        &self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        // A thread is born where its parent is.
        self.run(move || thread::spawn(body))
    }

    pub fn ip(&self, arguments: &str) {
        let arguments = arguments.to_owned();
        self.run(move || {
            let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
            assert!(status.success(), "ip {arguments}");
        });
    }

    pub fn set(&self, setting: &str, value: &str) {
        let (path, value) = (format!("/proc/sys/net/{setting}"), value.to_owned());
        self.run(move || std::fs::write(&path, value).unwrap_or_else(|e| panic!("{path}: {e}")));
    }

    /// Answer whoever comes: a name, and the address it seems to come from.
    pub fn serve(&self, address: &str, name: &str) {
        let address: SocketAddr = address.parse().unwrap();
        let names = [name.to_owned(), name.to_owned()];
        self.run(move || {
            let [name, name_udp] = names;
            let listener = TcpListener::bind(address).unwrap();
            let socket = UdpSocket::bind(address).unwrap();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let peer = stream.peer_addr().map(|peer| peer.ip().to_canonical());
                    let Ok(peer) = peer else { continue };
                    let _ = write!(stream, "{name} {peer}");
                }
            });
            thread::spawn(move || {
                let mut buffer = [0; 64];
                while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
                    let answer = format!("{name_udp} {}", peer.ip().to_canonical());
                    let _ = socket.send_to(answer.as_bytes(), peer);
                }
            });
        });
    }

    /// Connect from an address of its own, or any, and read the answer.
    pub fn ask(&self, from: Option<&str>, to: &str) -> io::Result<String> {
        let from = from.map(|from| from.parse().unwrap());
        let to = to.parse().unwrap();
        self.run(move || ask(from, to))
    }

    /// The same with a datagram.
    pub fn ask_udp(&self, to: &str) -> io::Result<String> {
        let to: SocketAddr = to.parse().unwrap();
        self.run(move || {
            let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any)?;
            socket.set_read_timeout(Some(Duration::from_secs(1)))?;
            socket.connect(to)?;
            socket.send(b"?")?;
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer)?;
            Ok(String::from_utf8(buffer[..length].to_vec()).unwrap())
        })
    }
}

/// Connect, and read the answer.
pub fn ask(from: Option<IpAddr>, to: SocketAddr) -> io::Result<String> {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // A dropped packet must not hold a test up for minutes.
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::new(2, 0))?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(2, 0))?;
    if let Some(from) = from {
        bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(from, 0)))?;
    }
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to))?;
    let mut answer = String::new();
    TcpStream::from(socket).read_to_string(&mut answer)?;
    Ok(answer)
}

/// The whole: clients at 10.77.0.2, fd77::2 and all of 10.78.0.0/16; the host at 10.77.0.1 and
/// fd77::1; backends `1` to `3` at 10.99.0.N and fd99::N behind a bridge of the host's, and `4` to
/// `6` at 10.98.0.N on its loopback device, port 80 each.
pub struct World {
    pub client: Place,
    pub host: Place,
    pub backends: [Place; 3],
}

impl World {
    pub fn new() -> World {
        let (client, host) = (Place::new(), Place::new());
        let backends = [Place::new(), Place::new(), Place::new()];
        host.set("ipv4/ip_forward", "1");
        host.set("ipv6/conf/all/forwarding", "1");
        host.ip(&format!("link add clients type veth peer name eth0 netns {}", client.tid));
        up(&host, "clients", &["10.77.0.1/24", "fd77::1/64"]);
        up(&client, "eth0", &["10.77.0.2/24", "fd77::2/64"]);
        client.ip("route add default via 10.77.0.1");
        client.ip("-6 route add default via fd77::1");
        client.ip("route add local 10.78.0.0/16 dev lo");
        host.ip("route add 10.78.0.0/16 via 10.77.0.2");
        host.ip("link add inside type bridge");
        up(&host, "inside", &["10.99.0.254/24", "fd99::fe/64"]);
        for (backend, number) in backends.iter().zip(1..) {
            let pair = format!("b{number} type veth peer name eth0 netns {}", backend.tid);
            host.ip(&format!("link add {pair}"));
            // Where bridged packets are filtered, the kernel rewrites and bridges them at once, and a
            // bridge sends nothing back where it came from unless it is told to.
            host.ip(&format!("link set b{number} master inside up"));
            host.ip(&format!("link set b{number} type bridge_slave hairpin on"));
            let addresses = [format!("10.99.0.{number}/24"), format!("fd99::{number}/64")];
            up(backend, "eth0", &addresses.each_ref().map(String::as_str));
            backend.ip("route add default via 10.99.0.254");
            backend.ip("-6 route add default via fd99::fe");
            backend.serve("[::]:80", &number.to_string());
        }
        for number in 1..=3 {
            host.ip(&format!("address add 10.98.0.{number}/32 dev lo"));
            host.serve(&format!("10.98.0.{number}:80"), &(number + 3).to_string());
        }
        // A bridge's ports and IPv6's addresses take a moment.
        for number in 1..=3 {
            for address in [format!("10.99.0.{number}:80"), format!("[fd99::{number}]:80")] {
                for place in [&host, &client] {
                    let reached = (0..20).any(|_| place.ask(None, &address).is_ok());
                    assert!(reached, "{address} is out of reach");
                }
            }
        }
        World { client, host, backends }
    }
}

fn up(place: &Place, device: &str, addresses: &[&str]) {
    for address in addresses {
        let nodad = if address.contains(':') { " nodad" } else { "" };
        place.ip(&format!("address add {address} dev {device}{nodad}"));
    }
    place.ip(&format!("link set {device} up"));
}
