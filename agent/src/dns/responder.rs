//! The responder's sockets: UDP and TCP at one address.
//!
//! Invariant: who asks slowly, or asks much, costs a bounded number of connections and one buffer;
//! an answer that the socket does not take at once is dropped, as any datagram may be. Belongs to a
//! runtime of tokio with I/O.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::answer::answer;
use super::{DOMAIN, Names, PROBE, message};

/// Longest question by UDP. No honest one is longer: a name has 255 bytes.
const QUESTION: usize = 1500;
/// How many are served by TCP at once.
const CONNECTIONS: usize = 16;
/// How long one by TCP may say nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// When a place that was taken is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// After an error of the socket's, such as no more descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Sockets that are bound.
#[derive(Debug)]
pub struct Responder {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Responder {
    /// Take the place.
    ///
    /// # Errors
    /// What bind(2) says: somebody else has it.
    pub async fn bind(place: SocketAddr) -> io::Result<Responder> {
        let udp = UdpSocket::bind(place).await?;
        let tcp = TcpListener::bind(udp.local_addr()?).await?;
        Ok(Responder { udp, tcp })
    }

    /// Where it is.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn place(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    /// Answer, for ever.
    pub async fn serve(self, names: watch::Receiver<Names>) {
        tokio::join!(datagrams(self.udp, names.clone()), connections(self.tcp, names));
    }
}

/// Answer at a place that was taken, from when it is free.
pub async fn serve_later(place: SocketAddr, names: watch::Receiver<Names>) {
    loop {
        sleep(AGAIN).await;
        if let Ok(responder) = Responder::bind(place).await {
            return responder.serve(names).await;
        }
    }
}

/// Whether a responder answers there, within a second.
#[must_use]
pub fn answers(place: SocketAddr) -> bool {
    let asked = || -> io::Result<Vec<u8>> {
        let any = if place.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = std::net::UdpSocket::bind(any)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.connect(place)?;
        socket.send(&message::question(PROBE, DOMAIN))?;
        let mut answer = vec![0; QUESTION];
        let length = socket.recv(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    };
    asked().is_ok_and(|answer| message::is_good(&answer))
}

async fn datagrams(socket: UdpSocket, names: watch::Receiver<Names>) {
    let mut buffer = vec![0; QUESTION];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, asker)) => {
                let answer = answer(&buffer[..length], &names.borrow(), true);
                if let Some(answer) = answer {
                    let _ = socket.try_send_to(&answer, asker);
                }
            }
            // An asker that is gone is told here, by ICMP.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

async fn connections(listener: TcpListener, names: watch::Receiver<Names>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let names = names.clone();
                tokio::task::spawn_local(async move {
                    let _seat = seat;
                    let _ = converse(stream, names).await;
                });
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Questions of one connection, each behind its length (RFC 1035, section 4.2.2).
async fn converse(mut stream: TcpStream, names: watch::Receiver<Names>) -> io::Result<()> {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = usize::from(timeout(PATIENCE, stream.read_u16()).await??);
        timeout(PATIENCE, stream.read_exact(&mut buffer[..length])).await??;
        let Some(answer) = answer(&buffer[..length], &names.borrow(), false) else {
            return Ok(());
        };
        let mut framed = (answer.len() as u16).to_be_bytes().to_vec();
        framed.extend(answer);
        timeout(PATIENCE, stream.write_all(&framed)).await??;
    }
}

#[cfg(test)]
mod tests;
