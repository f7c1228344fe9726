//! A program beside an app's instances: run once, in a sandbox, with streams that somebody else
//! holds. A log sink is one, a policy plugin another.
//!
//! Owns what is to be run and how it is told; it runs in a process of its own, hostctl's executable
//! under the name `hostctl-aside`, which does what a keeper does: plans, builds the sandbox, watches.
//! Whoever starts one may have several threads, which a process that builds sandboxes may not.
//!
//! Invariant: a program beside an instance has what the service is granted and no more: its user, its
//! paths, its environment, its destinations, its limits once more; but none of its ports, and nothing
//! is leased that the instance holds. A plugin has nothing but what every program has. None lives
//! longer than the one who started it. Never restarts anything.
//!
//! | module | owns |
//! | --- | --- |
//! | [`start`] | the side of the one who wants it |
//! | [`process`] | the side of the process that runs it |

pub mod process;
pub mod start;

use serde::{Deserialize, Serialize};

use crate::keep::assignment::{AssignedPort, Assignment, Deployer};
use crate::keep::status::Ending;
use crate::planning::Source;

/// Version of what is said on the line.
const VERSION: u32 = 2;

/// What comes before the order, with the descriptors that the standard ones leave no room for.
const GREETING: u8 = b'>';

/// Longest order, in bytes: a manifest may have a mebibyte, as text in JSON.
const ORDER: u64 = 8 * 1024 * 1024;

/// The instance that a program is run beside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Like {
    /// The manifest and what was said about it.
    pub source: Source,
    /// The service.
    pub service: String,
    /// The instance's number.
    pub instance: u32,
    /// Ports of the instance's own, as its environment tells them.
    pub ports: Vec<AssignedPort>,
    /// Who deployed it; `None` for the user that hostctl runs as.
    pub deployer: Option<Deployer>,
    /// Whether hostd keeps it, or hostctl as hostd does.
    pub kept: bool,
}

impl Like {
    /// The instance of an assignment.
    #[must_use]
    pub fn of(assignment: &Assignment) -> Like {
        Like {
            source: assignment.source.clone(),
            service: assignment.name.service.clone(),
            instance: assignment.name.number,
            ports: assignment.ports.clone(),
            deployer: assignment.deployer.clone(),
            kept: true,
        }
    }
}

/// A policy whose plugin is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfPolicy {
    /// The manifest and what was said about it.
    pub source: Source,
    /// The policy's name.
    pub policy: String,
    /// Who deployed it; `None` for the user that hostctl runs as.
    pub deployer: Option<Deployer>,
    /// Whether hostd keeps it.
    pub kept: bool,
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A program beside an instance.
    Beside {
        /// The instance.
        like: Like,
        /// The program and its arguments; a path is absolute.
        command: Vec<String>,
    },
    /// A policy's plugin.
    Plugin {
        /// The policy.
        of: OfPolicy,
        /// Whether what it says on standard error goes into the app's log, as from a service
        /// `policy-NAME`; else to where the one who wants it says.
        logged: bool,
    },
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// [`VERSION`] of the one who wants it.
    v: u32,
    /// What.
    pub what: What,
}

impl Order {
    /// Run this beside that.
    #[must_use]
    pub fn new(like: Like, command: Vec<String>) -> Order {
        Order { v: VERSION, what: What::Beside { like, command } }
    }

    /// The program and its arguments, where they are not in a manifest.
    #[must_use]
    pub fn command(&self) -> &[String] {
        match &self.what {
            What::Beside { command, .. } => command,
            What::Plugin { .. } => &[],
        }
    }

    /// Run the plugin of a policy.
    #[must_use]
    pub fn plugin(of: OfPolicy, logged: bool) -> Order {
        Order { v: VERSION, what: What::Plugin { of, logged } }
    }
}

/// What is said of it, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// The program runs.
    Started,
    /// Nothing of it is left.
    Ended(Ending),
}
