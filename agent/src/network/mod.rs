//! The network of an instance: what it may bind, reach and be reached through, and who holds it to
//! that.
//!
//! Owns everything between a plan's ports, destinations and interfaces and the kernel objects that
//! enforce them. Invariant: the program starts only when every rule is in force, and nothing of it
//! outlives the run. Never decides what is granted: the plan has.

pub mod address;
mod assemble;
pub mod boundary;
pub mod enforcement;
pub mod hosts;
pub mod link;
pub mod meaning;
pub mod names;
pub mod pool;
pub mod private;
pub mod program;
pub mod rules;
