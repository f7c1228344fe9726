//! A client, a host and a server outside, connected like this, and an instance on the host:
//!
//! client .10 ── 192.0.2.1 eth0 │ host │ eth1 198.51.100.1 ── .9 outside
//!
//! Invariant: whatever a test does, it does in namespaces of its own.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use agent::network::link::{End, Links, Route};
pub use agent::network::private::Layout;
use agent::network::private::{self, Forward, Inward, PrivateError, PrivateNetwork};
use agent::plan::Directories;
use host_sys::namespace::{new_network, visit};
use manifest_spec::manifest::Protocol;

pub const CLIENT: &str = "192.0.2.10";
pub const HOST: &str = "192.0.2.1";
pub const HOST_OUTSIDE: &str = "198.51.100.1";
pub const OUTSIDE: &str = "198.51.100.9";
pub const CLIENT6: &str = "2001:db8:1::10";
pub const HOST6: &str = "2001:db8:1::1";
pub const OUTSIDE6: &str = "2001:db8:2::9";
pub const HOST_OUTSIDE6: &str = "2001:db8:2::1";

/// Tells a process where its scene is.
const ROOT: &str = "HOSTCTL_TEST_ROOT";
/// How long a packet that is dropped is waited for.
pub const PATIENCE: Duration = Duration::from_millis(400);
/// How long one that must arrive is, on a machine that is busy.
const PLENTY: Duration = Duration::from_secs(20);

pub struct Scene {
    pub client: OwnedFd,
    pub host: OwnedFd,
    pub outside: OwnedFd,
    pub root: PathBuf,
}

/// An instance's network; it ends, like its process would, in the host's namespace.
pub struct Running<'a> {
    pub network: Option<PrivateNetwork>,
    scene: &'a Scene,
}

/// Whether this kernel forwards IPv6 for single interfaces (6.17). The host of a scene on an older
/// one is a router for IPv6 from the start, without which nothing of it passes.
pub fn forwards_by_interface() -> bool {
    Path::new("/proc/sys/net/ipv6/conf/all/force_forwarding").exists()
}

impl Scene {
    pub fn new() -> Scene {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hostctl-private-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        std::fs::create_dir(&root).unwrap();
        let space = || new_network().expect("these tests make network namespaces: run as root");
        let scene = Scene { client: space(), host: space(), outside: space(), root };
        for space in [&scene.client, &scene.host, &scene.outside] {
            let links = visit(space, Links::open).unwrap().unwrap();
            links.set_up(links.index("lo").unwrap().unwrap()).unwrap();
        }
        let host = &scene.host;
        wire(host, "eth0", [HOST, HOST6], &scene.client, [CLIENT, CLIENT6]);
        wire(host, "eth1", [HOST_OUTSIDE, HOST_OUTSIDE6], &scene.outside, [OUTSIDE, OUTSIDE6]);
        // The client sends everything to the host; the server outside knows nobody but the host.
        for (any, gateway) in [("0.0.0.0", HOST), ("::", HOST6)] {
            let links = visit(&scene.client, Links::open).unwrap().unwrap();
            let index = links.index("up").unwrap().unwrap();
            let route = Route { to: (ip(any), 0), gateway: Some(ip(gateway)), source: None };
            links.add_route(index, route).unwrap();
        }
        if !forwards_by_interface() {
            scene.set("ipv6/conf/all/forwarding", "1");
        }
        scene
    }

    pub fn directories(&self) -> Directories {
        directories(&self.root)
    }

    pub fn build(&self, layout: &Layout) -> Running<'_> {
        Running { network: Some(self.try_build(layout).unwrap()), scene: self }
    }

    pub fn try_build(&self, layout: &Layout) -> Result<PrivateNetwork, PrivateError> {
        visit(&self.host, || private::build(layout, &self.directories())).unwrap()
    }

    /// A setting of the host.
    pub fn setting(&self, path: &str) -> String {
        let path = Path::new("/proc/sys/net").join(path);
        let read = || std::fs::read_to_string(&path).unwrap().trim_end().to_owned();
        visit(&self.host, read).unwrap()
    }

    pub fn set(&self, path: &str, value: &str) {
        let path = Path::new("/proc/sys/net").join(path);
        visit(&self.host, || std::fs::write(path, value).unwrap()).unwrap();
    }

    /// nft(8) on the host; its output.
    pub fn nft(&self, arguments: &[&str], input: &str) -> String {
        nft(&self.host, arguments, input)
    }

    pub fn has_link(&self, name: &str) -> bool {
        let find = || Links::open().unwrap().index(name).unwrap().is_some();
        visit(&self.host, find).unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

impl Running<'_> {
    pub fn namespace(&self) -> BorrowedFd<'_> {
        self.network.as_ref().unwrap().namespace()
    }

    pub fn refresh(&mut self) {
        let network = self.network.as_mut().unwrap();
        visit(&self.scene.host, || network.refresh().unwrap()).unwrap();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let network = self.network.take();
        visit(&self.scene.host, || drop(network)).unwrap();
    }
}

/// Start this test program again, in the host's namespace, as one of its own tests.
pub fn start(scene: &Scene, test: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(ROOT, &scene.root).stdin(Stdio::piped()).stdout(Stdio::null());
    visit(&scene.host, || command.spawn().unwrap()).unwrap()
}

/// The folder of the scene that this process was started in.
pub fn started_in() -> Option<PathBuf> {
    std::env::var_os(ROOT).map(PathBuf::from)
}

pub fn wait(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PLENTY, "it did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn directories(root: &Path) -> Directories {
    Directories { state: root.join("state"), run: root.join("run"), config: root.join("config") }
}

/// Connect `name` on the host to `up` in another namespace.
fn wire(host: &OwnedFd, name: &str, own: [&str; 2], other: &OwnedFd, theirs: [&str; 2]) {
    let last = name.as_bytes()[3];
    let end = |name, first| End { name, mac: [first, 0, 0, 0, 1, last] };
    let here = visit(host, Links::open).unwrap().unwrap();
    here.create_pair(end(name, 2), end("up", 6), other.as_fd()).unwrap();
    let there = visit(other, Links::open).unwrap().unwrap();
    for (links, name, own, peer) in [(&here, name, own, theirs), (&there, "up", theirs, own)] {
        let index = links.index(name).unwrap().unwrap();
        links.set_up(index).unwrap();
        for (own, peer) in own.into_iter().zip(peer) {
            links.add_address(index, ip(own)).unwrap();
            let bits = if ip(peer).is_ipv4() { 32 } else { 128 };
            links
                .add_route(index, Route { to: (ip(peer), bits), gateway: None, source: None })
                .unwrap();
        }
    }
    here.settle(here.index(name).unwrap().unwrap()).unwrap();
}

/// nft(8) in a network namespace; its output.
pub fn nft(space: &impl AsFd, arguments: &[&str], input: &str) -> String {
    visit(space, || {
        let mut command = Command::new("nft");
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("nft(8) is needed: package nftables");
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "nft {arguments:?} refused:\n{input}");
        String::from_utf8(output.stdout).unwrap()
    })
    .unwrap()
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An instance with the address 10.99.0.`last`.
pub fn layout(last: u8) -> Layout {
    Layout {
        balanced: false,
        name: format!("demo.{last}"),
        address: [10, 99, 0, last].into(),
        address6: format!("fd99::{last}").parse().unwrap(),
        forwards: Vec::new(),
        egress: Some(Vec::new()),
        inward: Vec::new(),
        balanced_needs: false,
    }
}

pub fn forward(protocol: Protocol, outside: u16, inside: u16, interface: Option<&str>) -> Forward {
    Forward { protocol, outside, inside, interface: interface.map(str::to_owned) }
}

pub fn inward(protocol: Protocol, port: u16, to: &str) -> Inward {
    Inward { protocol, port, to: to.parse().unwrap() }
}

pub fn listen(space: &impl AsFd, address: &str) -> TcpListener {
    visit(space, || TcpListener::bind(address).unwrap()).unwrap()
}

pub fn udp(space: &impl AsFd, address: &str) -> UdpSocket {
    let socket = visit(space, || UdpSocket::bind(address).unwrap()).unwrap();
    socket.set_read_timeout(Some(PLENTY)).unwrap();
    socket
}

/// Connect and exchange a byte each way; whom the server saw. `None`: no connection.
pub fn tcp(from: &impl AsFd, to: (&str, u16), server: &TcpListener) -> Option<IpAddr> {
    let to = SocketAddr::new(ip(to.0), to.1);
    let mut client = visit(from, || TcpStream::connect_timeout(&to, PLENTY)).unwrap().ok()?;
    let (mut accepted, peer) = server.accept().unwrap();
    for stream in [&client, &accepted] {
        stream.set_read_timeout(Some(PLENTY)).unwrap();
    }
    let mut byte = [0];
    client.write_all(b"?").unwrap();
    accepted.read_exact(&mut byte).unwrap();
    accepted.write_all(b"!").unwrap();
    client.read_exact(&mut byte).unwrap();
    Some(peer.ip())
}

/// Whether a connection can be made, to whomever; not for those that must.
pub fn connects(from: &impl AsFd, to: (&str, u16)) -> bool {
    let to = SocketAddr::new(ip(to.0), to.1);
    visit(from, || TcpStream::connect_timeout(&to, PATIENCE)).unwrap().is_ok()
}

/// Send a datagram and get one back; whom the server saw.
pub fn datagram(from: &impl AsFd, to: (&str, u16), server: &UdpSocket) -> Option<IpAddr> {
    let any = if ip(to.0).is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let client = udp(from, any);
    client.connect((ip(to.0), to.1)).ok()?;
    client.send(b"?").ok()?;
    let mut byte = [0];
    let (_, peer) = server.recv_from(&mut byte).ok()?;
    server.send_to(b"!", peer).unwrap();
    client.recv(&mut byte).ok()?;
    Some(peer.ip())
}
