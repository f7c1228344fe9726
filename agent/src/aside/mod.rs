//! A program beside an instance: run once, in a sandbox as the service has it, with streams that
//! somebody else holds. A log sink is one.
//!
//! Owns what is to be run and how it is told; it runs in a process of its own, hostctl's executable
//! under the name `hostctl-aside`, which does what a keeper does: plans, builds the sandbox, watches.
//! Whoever starts one may have several threads, which a process that builds sandboxes may not.
//!
//! Invariant: the program has what the service is granted and no more: its user, its paths, its
//! environment, its destinations, its limits once more; but none of its ports, and nothing is leased
//! that the instance holds. It lives no longer than the one who started it. Never restarts anything.
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
const VERSION: u32 = 1;

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

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// [`VERSION`] of the one who wants it.
    v: u32,
    /// The instance.
    pub like: Like,
    /// The program and its arguments; a path is absolute.
    pub command: Vec<String>,
    /// Variables that it gets beside the instance's, or instead of them.
    pub environment: Vec<(String, String)>,
}

impl Order {
    /// Run this beside that.
    #[must_use]
    pub fn new(like: Like, command: Vec<String>) -> Order {
        Order { v: VERSION, like, command, environment: Vec::new() }
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
