//! The end of hostd: at once, and the apps go on; or, when the machine goes down, after every app was
//! stopped, dependents before what they need.
//!
//! systemd asks each unit to end by the same signal whether the machine goes down or an operator
//! wants another hostd, so hostd asks it which. Instances are in scopes that come before hostd's
//! unit, which systemd leaves alone until hostd has ended. Invariant: what is wanted is not changed,
//! so that the next boot starts the same; bounded, whatever an instance does; a second signal is
//! obeyed at once.

use std::time::{Duration, Instant};

use super::event::Event;
use super::place::Systemd;
use super::world::World;
use crate::cgroup::scope::{Outlook, outlook};

/// The longest that apps are waited for. Each has the grace time of its manifest, and its keeper
/// ends it after that; this is for what not even that ends.
const LONGEST: Duration = Duration::from_secs(300);

/// How often systemd is asked for more time; and for how much, in microseconds (sd_notify(3)).
const PAUSE: Duration = Duration::from_secs(2);
const MORE: &str = "EXTEND_TIMEOUT_USEC=15000000";

/// What systemd is told before it is asked how the host stands, which takes as long as it is busy:
/// nobody is to end hostd by the watchdog meanwhile.
const ASKING: &str = "WATCHDOG_USEC=60000000\nWATCHDOG=1\nEXTEND_TIMEOUT_USEC=30000000";

/// How far the end has come.
#[derive(Debug, Default)]
pub(super) enum Ending {
    /// Nobody asked for it.
    #[default]
    Far,
    /// Apps are being stopped; until then at most.
    Near(Instant),
    /// hostd has nothing more to do: how it knows that the machine goes on.
    Here(String),
}

impl Ending {
    /// Take in what happened.
    pub(super) fn take(
        &mut self,
        event: Event,
        world: &mut World,
        systemd: &Systemd,
        say: &mut dyn FnMut(&str),
    ) {
        if !matches!(event, Event::End) {
            return world.take(event);
        }
        *self = match self {
            Ending::Far => match asked(systemd) {
                Outlook::Down => {
                    say("the machine goes down: every app is stopped, in order");
                    systemd.say("STATUS=stopping every app: the machine goes down");
                    world.go_down();
                    Ending::Near(Instant::now() + LONGEST)
                }
                Outlook::On(state) => Ending::Here(format!("the host is {state}")),
                Outlook::Unknown(why) => {
                    Ending::Here(format!("whether the machine goes down is not known: {why}"))
                }
            },
            Ending::Near(_) | Ending::Here(_) => Ending::Here("asked again".to_owned()),
        };
    }

    /// Whether hostd is to end now.
    pub(super) fn is_here(&self, world: &World, systemd: &Systemd) -> bool {
        match self {
            Ending::Far => false,
            Ending::Near(until) => {
                systemd.say(MORE);
                world.alive() == 0 || *until <= Instant::now()
            }
            Ending::Here(_) => true,
        }
    }

    /// When to look again at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        matches!(self, Ending::Near(_)).then(|| Instant::now() + PAUSE)
    }

    /// The last words.
    pub(super) fn farewell(&self, world: &World) -> String {
        match (self, world.alive()) {
            (Ending::Near(_), 0) => "every app has ended".to_owned(),
            (Ending::Near(_), left) => format!("ends; {left} instances did not"),
            (Ending::Here(why), _) => format!("ends; the instances go on ({why})"),
            (Ending::Far, _) => "ends; the instances go on".to_owned(),
        }
    }
}

fn asked(systemd: &Systemd) -> Outlook {
    systemd.say(ASKING);
    outlook()
}
