//! How systemd itself stands (org.freedesktop.systemd1(5), property SystemState).
//!
//! Invariant: who can't be asked has said nothing; no answer is not taken for a "yes".

use std::time::{Duration, Instant};

use super::{connect, is_booted, request};
use crate::bus::call::{Call, Writer};
use crate::bus::reply::{Kind, Received};
use crate::bus::{Bus, BusError};

/// How long systemd gets in all. It answers in milliseconds, but a machine that goes down is busy, and
/// without an answer every app would be ended at once; hostd's unit has more to stop in.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it gets each time. Another connection costs little, and one that is never answered would
/// cost every app its order.
const EACH: Duration = Duration::from_secs(3);

/// Between two times, where the first one failed at once.
const PAUSE: Duration = Duration::from_millis(100);

/// What the host is about to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlook {
    /// It goes down: systemd works on its shutdown, which it does from the moment that somebody asks
    /// for it, before any unit is stopped.
    Down,
    /// It goes on, and systemd says this of itself; or systemd does not run it.
    On(String),
    /// systemd did not say, and why.
    Unknown(String),
}

/// Ask systemd. For root.
pub fn outlook() -> Outlook {
    if !is_booted() {
        return Outlook::On("not run by systemd".to_owned());
    }
    let end = Instant::now() + PATIENCE;
    loop {
        match ask(end.min(Instant::now() + EACH)) {
            Ok(state) if state == "stopping" => return Outlook::Down,
            Ok(state) => return Outlook::On(state),
            Err(why) if Instant::now() + PAUSE >= end => return Outlook::Unknown(why),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// Ask once, until `end` at the latest.
fn ask(end: Instant) -> Result<String, String> {
    let (mut bus, socket, before) = connect(end).map_err(|error| error.to_string())?;
    state(&mut bus, before).map_err(|error| format!("{socket}: {error}"))
}

/// What systemd says of itself: `running`, `degraded`, `stopping` …
pub(super) fn state(bus: &mut Bus, before: Vec<Call>) -> Result<String, BusError> {
    let mut body = Writer::default();
    body.text(request::MANAGER);
    body.text("SystemState");
    let get = Call {
        destination: request::SYSTEMD,
        path: request::OBJECT,
        interface: "org.freedesktop.DBus.Properties",
        member: "Get",
        signature: "ss",
        body,
    };
    let mut serial = 0;
    for call in before.iter().chain([&get]) {
        serial = bus.send(call)?;
    }
    loop {
        if let Some(state) = answer(&bus.receive()?, serial)? {
            return Ok(state);
        }
    }
}

/// What the message says about the call with this serial, if it is about that; an error of
/// systemd's says nothing.
fn answer(received: &Received, serial: u32) -> Result<Option<String>, BusError> {
    match received.kind {
        _ if received.reply_to != serial => Ok(None),
        Kind::Return => Ok(Some(received.arguments().variant_text()?)),
        Kind::Error => Ok(Some(String::new())),
        _ => Ok(None),
    }
}
