//! Listening to a keeper.
//!
//! Invariant: everything it says arrives as an event, in its order, and its silence is the last.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc::UnboundedSender;

use super::event::{Event, Mark};
use crate::keep::wire::{self, News};

/// How often, and how many times, a keeper is looked for that has just been started by an earlier
/// hostd and does not listen yet.
const LOOK: (Duration, u32) = (Duration::from_millis(20), 250);

/// Send on what a keeper says, until it falls silent.
pub async fn listen(socket: OwnedFd, mark: Mark, sender: UnboundedSender<Event>) {
    // The type that only tells when there is something to read: the messages are read below.
    let socket = std::os::unix::net::UnixDatagram::from(socket);
    if let Ok(socket) = socket.set_nonblocking(true).and_then(|()| UnixDatagram::from_std(socket)) {
        while let Ok(Some((news, fds))) = next(&socket).await {
            if sender.send(Event::News(mark.clone(), news, fds)).is_err() {
                return;
            }
        }
    }
    // Nobody listens any more when hostd ends.
    let _ = sender.send(Event::Silent(mark));
}

async fn next(socket: &UnixDatagram) -> io::Result<Option<(News, Vec<OwnedFd>)>> {
    socket
        .async_io(Interest::READABLE, || {
            wire::receive(socket.as_fd())
                .map_err(|errno| io::Error::from_raw_os_error(errno as i32))
        })
        .await
}

/// Look for the keeper of an instance's folder, by the path of its socket.
pub async fn find(path: std::path::PathBuf, mark: Mark, sender: UnboundedSender<Event>) {
    let (pause, times) = LOOK;
    for _ in 0..times {
        if let Ok(connection) = host_sys::socket::connect_to(&path) {
            let _ = sender.send(Event::Found(mark, connection));
            return;
        }
        tokio::time::sleep(pause).await;
    }
    let _ = sender.send(Event::Silent(mark));
}
