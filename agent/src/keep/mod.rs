//! The keeper: one process that runs one instance in the background, and outlives hostd.
//!
//! Owns the life of an instance between "start it" and "it has ended": what `hostctl run` does in
//! the foreground, with a socket instead of a terminal. hostd starts a keeper, tells it what to do
//! and hears from it; when hostd is killed or replaced, nothing changes for the instance, and the
//! next hostd finds it by its folder.
//!
//! Invariant: a keeper holds the lock of its folder from before its first step to its end, so
//! whoever can't have the lock knows that the instance has a keeper, whatever was killed when. It
//! writes down how the instance ended before it ends itself. It decides nothing: whether a program
//! is started again is its hostd's matter.
//!
//! | module | owns |
//! | --- | --- |
//! | [`assignment`] | what a keeper is told to run |
//! | [`folder`] | the instance's folder: who writes which file in it, and when |
//! | [`status`] | what a keeper says of its instance |
//! | [`wire`] | what hostd and a keeper say to each other |
//! | [`notify`] | sd_notify(3) messages of the program |
//! | [`companion`] | the socket and the notifications, in the supervisor's loop |
//! | [`process`] | the keeper's life |

pub mod assignment;
mod companion;
pub mod folder;
pub mod notify;
pub mod process;
pub mod status;
pub mod wire;
