//! Sockets that hostctl was started with (sd_listen_fds(3)): from a systemd socket unit, or from
//! whoever else keeps them open while hostctl is restarted, so that no connection is refused.

use std::os::fd::{AsFd, OwnedFd};

use agent::plan::facts::variable;
use host_sys::diag::Transport;
use host_sys::{process, socket};
use manifest_spec::manifest::Protocol;

use agent::failure::Error;

/// More sockets than any app has ports.
const MOST: u32 = 65_535;

/// The sockets that were meant for this process; none if there are none.
pub fn take() -> Result<Vec<OwnedFd>, Error> {
    let meant = variable("LISTEN_PID").and_then(|pid| pid.parse().ok()) == Some(process::pid());
    let Some(count) = variable("LISTEN_FDS").filter(|_| meant) else { return Ok(Vec::new()) };
    // A descriptor's number is a C int.
    let passed = match count.parse() {
        Ok(number @ 0..=MOST) => process::take_passed(number).ok(),
        _ => None,
    };
    passed.ok_or_else(|| {
        let message = format!("$LISTEN_FDS says that {count} sockets were passed, which is not so");
        Error::Usage(message, "unset LISTEN_FDS and LISTEN_PID, or pass them".into())
    })
}

/// What they serve; one that serves nothing has port 0, which no app has.
pub fn described(sockets: &[OwnedFd]) -> Vec<(Protocol, u16)> {
    let describe = |fd: &OwnedFd| match socket::serves(fd.as_fd()) {
        Some((Transport::Tcp, port)) => (Protocol::Tcp, port),
        Some((Transport::Udp, port)) => (Protocol::Udp, port),
        None => (Protocol::Tcp, 0),
    };
    sockets.iter().map(describe).collect()
}
