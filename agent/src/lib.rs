//! hostctl's agent: runs a program in the sandbox that its manifest describes.
//!
//! One value per stage, one module per stage; [`run`] shows their order.
//!
//! | module | owns |
//! | --- | --- |
//! | [`source`] | manifests, drop-ins, variables, flags: their order |
//! | [`plan`] | every default; what will be given |
//! | [`planning`] | from a source to a plan: who is asked, in which order |
//! | [`lease`] | ports, names, data directories and locks: who has them |
//! | [`lock`] | a command that runs while a lock is held |
//! | [`uids`] | which uid belongs to which app |
//! | [`data`] | managed directories |
//! | [`sandbox`] | steps, and doing them |
//! | [`network`] | what holds an instance to its ports, destinations and interfaces |
//! | [`supervise`] | a started sandbox, to its end |
//! | [`logs`] | output as records |
//! | [`store`] | directories of ours |
//! | [`failure`] | failures as exit codes, sentences and hints |
//!
//! # Files on disk
//!
//! | path | writer | reader | lifetime |
//! | --- | --- | --- | --- |
//! | `STATE/uids/UID -> APP` | [`uids`] | [`uids`] | for ever: a uid is never given twice |
//! | `STATE/state.db` | [`lease`] | [`lease`] | for ever: fences rise over reboots |
//! | `RUN/leases.db` | [`lease`] | [`lease`] | a boot: another boot id voids what is in it |
//! | `RUN/forwarding/NETNS-FAMILY-INTERFACE` | [`network`] | [`network`] | while needed |
//! | `RUN/forwarding/lock` | nobody | [`network`] | a boot |
//! | `STATE/data/APP/PATH` | the app | the app | until somebody removes it |
//! | `CONFIG/policy.toml` | the operator | [`source`] | the operator's |
//! | `CONFIG/apps/APP.toml` | the operator | [`source`] | the operator's |
//! | files named by `logs.sinks` | [`logs`] | anyone | the operator's |
//!
//! STATE is `/var/lib/hostctl`, CONFIG `/etc/hostctl`, RUN `/run/hostctl`
//! ([`plan::Directories`]). SQLite adds a `-journal` or `-wal` and `-shm` file beside its own while
//! it is at work. Everything else a run makes lives in namespaces of its own and is gone
//! with them, whatever ends hostctl.

#![forbid(unsafe_code)]

pub mod data;
pub mod failure;
pub mod lease;
pub mod lock;
pub mod logs;
pub mod network;
pub mod plan;
pub mod planning;
pub mod run;
pub mod sandbox;
pub mod source;
pub mod store;
pub mod supervise;
pub mod uids;
