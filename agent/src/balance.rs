//! The balancer's table in the kernel: the socket that its writer is lent.
//!
//! Owns the socket, and with it the table: the kernel lets nobody else change that while the socket
//! is open. Invariant: a batch is one sendmsg(2), however large. Never decides what is in the
//! table: the crate `loadbalancer` does.

pub mod conntrack;
mod table;

use host_sys::Errno;
use host_sys::netlink::{Family, Netlink, Refusal};
use loadbalancer::writer::{Answer, Kernel};

pub use table::{NoTable, Table};

/// Room for a batch: ten thousand services with three backends each need 20 MiB. The kernel takes
/// no memory for it before there is one.
const BATCH: usize = 256 << 20;
/// Room for answers: each message that is refused has one.
const ANSWERS: usize = 8 << 20;

/// A socket to nf_tables of the network namespace it was opened in.
#[derive(Debug)]
pub struct Socket(Netlink);

impl Socket {
    /// Open one.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_ADMIN; else what socket(2) says.
    pub fn open() -> Result<Socket, Errno> {
        let netlink = Netlink::open(Family::Netfilter)?;
        netlink.enlarge(BATCH, ANSWERS)?;
        Ok(Socket(netlink))
    }
}

impl Kernel for Socket {
    fn commit(&mut self, batch: &[u8]) -> Result<(), Answer> {
        self.0.request(batch).map_err(answer)
    }

    fn ask(&mut self, request: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), Answer> {
        self.0.ask(request, |message| each(message.body)).map_err(answer)
    }
}

fn answer(refusal: Refusal) -> Answer {
    let Refusal { sequence, errno, text } = refusal;
    Answer { sequence, errno: errno as i32, text }
}

#[cfg(test)]
mod tests;
