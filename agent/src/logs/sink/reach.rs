//! Connections to peers: names, addresses, time limits.
//!
//! Invariant: a name is looked up anew for each connection, so a peer that moved is found; one try
//! takes as long as [`Patience`] says at most, whatever the resolver and the network do.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use manifest_spec::sink::HostPort;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use crate::network::names::{ANSWER, Lookup};

/// How long is waited for a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From a name to a connection, TLS included.
    pub connection: Duration,
    /// From a request to the end of its answer; where there are no answers, for as long as a peer
    /// takes nothing at all.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { connection: Duration::from_secs(10), answer: Duration::from_secs(30) }
    }
}

/// Connect over TCP, to the first of the peer's addresses that answers.
///
/// # Errors
/// What went wrong, in words.
pub async fn tcp(peer: &HostPort, patience: Patience) -> Result<TcpStream, String> {
    let end = Instant::now() + patience.connection;
    let addresses = addresses(peer, end).await?;
    let mut said = String::new();
    for (tried, address) in addresses.iter().enumerate() {
        // Each gets its share of what is left: one that is silent must not cost the others theirs.
        let left = end.saturating_duration_since(Instant::now());
        let share = left / (addresses.len() - tried) as u32;
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A batch is written at once: there is nothing to gather.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => said = refusal(peer, &error),
            Err(_) => said = format!("{peer} does not answer"),
        }
    }
    Err(said)
}

/// A socket whose datagrams go to the first of the peer's addresses, and which hears when nobody
/// takes them.
///
/// # Errors
/// What went wrong, in words.
pub async fn udp(peer: &HostPort, patience: Patience) -> Result<UdpSocket, String> {
    let addresses = addresses(peer, Instant::now() + patience.connection).await?;
    let mut said = String::new();
    for address in addresses {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
        };
        let connected = async {
            let socket = UdpSocket::bind(any).await?;
            socket.connect(address).await.map(|()| socket)
        };
        match connected.await {
            Ok(socket) => return Ok(socket),
            Err(error) => said = refusal(peer, &error),
        }
    }
    Err(said)
}

/// What the system said about a connection, in words.
pub fn refusal(peer: &HostPort, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("nobody listens at {peer}"),
        _ => format!("{peer}: {}", words(error)),
    }
}

/// What the system said, without its number.
pub fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => host_sys::Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}

async fn addresses(peer: &HostPort, end: Instant) -> Result<Vec<SocketAddr>, String> {
    if let Ok(address) = peer.host.parse::<IpAddr>() {
        return Ok(vec![(address, peer.port).into()]);
    }
    let mut lookup = Lookup::start(&peer.host).map_err(|error| error.to_string())?;
    let answer = async {
        let mut text = String::new();
        if let Some(source) = lookup.take_source() {
            let source = pipe::Receiver::from_owned_fd(source)?;
            source.take(ANSWER).read_to_string(&mut text).await?;
        }
        io::Result::Ok(text)
    };
    let text = timeout_at(end, answer)
        .await
        .map_err(|_| format!("this host's resolver gives no answer for {}", peer.host))?
        .map_err(|error| format!("looking up {}: {}", peer.host, words(&error)))?;
    let found = lookup.understand(&text).map_err(|error| error.to_string())?;
    Ok(found.into_iter().map(|address| (address, peer.port).into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn names_lead_to_peers_and_what_does_not_is_said() {
        run(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            // ::1 comes first where there is IPv6, and nobody listens there.
            for host in ["127.0.0.1", "localhost"] {
                let stream =
                    tcp(&HostPort { host: host.into(), port }, Patience::default()).await.unwrap();
                assert_eq!(stream.peer_addr().unwrap().port(), port);
            }
            drop(listener);
            let peer = HostPort { host: "127.0.0.1".into(), port };
            let said = tcp(&peer, Patience::default()).await.unwrap_err();
            assert_eq!(said, format!("nobody listens at 127.0.0.1:{port}"));
            let unknown = HostPort { host: "no-such-name.invalid".into(), port };
            let said = tcp(&unknown, Patience::default()).await.unwrap_err();
            assert!(said.contains("no-such-name.invalid"), "{said}");
        });
    }
}
