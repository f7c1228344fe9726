//! Boots a Debian guest with systemd and runs promises in it that a test on the build machine
//! cannot hold: scopes and units of systemd, cgroup v2 as the only hierarchy, reboot, other
//! kernels.
//!
//! A scenario is a shell script below `scenarios/`: one promise, exit code 0 if it holds.
//! Invariant: a run ends in bounded time, the guest has no network, and all that stays of it is
//! the cached image. Uses the built binaries only; never links the agent.
//!
//! | module | owns |
//! | --- | --- |
//! | [`image`] | the guest's root file system and kernels, built once a recipe |
//! | [`delivery`] | the second disk: binaries, sources, scenarios |
//! | [`machine`] | a guest at work, to its end |
//! | [`report`] | what the guest says of its scenarios |
//! | [`scratch`] | a folder for what a run needs on disk |
//!
//! | folder | holds |
//! | --- | --- |
//! | `guest/` | the recipe: packages, and what is set up beside them |
//! | `scenarios/` | the scenarios, their common `words`, and `main.sh`, which runs them inside |

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // runs the programs that make and boot a guest

pub mod delivery;
pub mod image;
pub mod machine;
pub mod report;
pub mod scratch;
mod tools;
