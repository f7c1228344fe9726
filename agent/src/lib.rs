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
//! | [`accounts`] | the host's users and groups by number and name |
//! | [`data`] | managed directories |
//! | [`sandbox`] | steps, and doing them |
//! | [`cgroup`] | an instance's cgroup: its place, its limits, what it has used |
//! | [`network`] | what holds an instance to its ports, destinations and interfaces |
//! | [`bus`] | a connection to D-Bus |
//! | [`balance`] | the balancer's table in the kernel |
//! | [`keep`] | a process that runs one instance in the background |
//! | [`aside`] | a process that runs another program beside an app's instances |
//! | [`dns`] | names of services, for whoever asks on this host |
//! | [`plugin`] | policies that are programs |
//! | [`daemon`] | hostd: what is deployed, and its API |
//! | [`supervise`] | a started sandbox, to its end; an instance over its restarts |
//! | [`fleet`] | what to do next for all apps |
//! | [`logs`] | output as records |
//! | [`audit`] | who did what, in a log that shows tampering |
//! | [`state`] | the file that outlives a reboot |
//! | [`store`] | directories of ours |
//! | [`clock`] | the time of day |
//! | [`zones`] | the host's time zones |
//! | [`failure`] | failures as exit codes, sentences and hints |
//!
//! # Files on disk
//!
//! | path | writer | reader | lifetime |
//! | --- | --- | --- | --- |
//! | `STATE/uids/UID -> APP` | [`uids`] | [`uids`] | for ever: a uid is never given twice |
//! | `STATE/state.db` | [`lease`], hostd | [`lease`], hostd | for ever: fences, what is deployed |
//! | `STATE/audit.log` | [`audit`] | [`audit`] | for ever: only added to |
//! | `STATE/audit.head`, `STATE/audit.lock` | [`audit`] | [`audit`] | for ever |
//! | `RUN/leases.db` | [`lease`] | [`lease`] | a boot: another boot id voids what is in it |
//! | `RUN/forwarding/NETNS-FAMILY-INTERFACE` | [`network`] | [`network`] | while needed |
//! | `RUN/forwarding/lock` | nobody | [`network`] | a boot |
//! | `RUN/instances/APP.SERVICE.N/` | hostd, [`keep`] | hostd, [`keep`] | an instance |
//! | `RUN/policies/SERVICE.json` | hostd | hostd | a boot: what a policy that is a program answered last |
//! | `STATE/logs/APP/SERVICE.N/SEQ.log` | [`logs`] | [`logs`] | as `logs.keep` says |
//! | `STATE/logs/APP/SERVICE.N/lock` | nobody | [`logs`] | with the folder |
//! | `STATE/logs/APP/SERVICE.N/cursors.json` | [`logs`] | [`logs`] | with the folder: how far each sink was |
//! | `RUN/logs/APP.SERVICE.N/cursors.json`, `metrics.json` | [`logs`] | [`logs`] | an instance: how far each sink is |
//! | `STATE/logs/APP/SERVICE.N/parked.log`, `parked.log.1` | [`logs`] | anyone | 16 MiB of what sinks did not want |
//! | `STATE/logs/APP/sinks.json` | hostd, `hostctl sinks` | [`logs`] | the operator's |
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

/// Be a keeper, a logger or a program's aside, if that is what this process was started as: all of them
/// are hostctl's and hostd's own executable under another name. The answer is the exit code.
pub fn run_if_meant<A: Iterator<Item = String>>(arguments: impl Fn() -> A) -> Option<u8> {
    keep::process::run_if_meant(arguments())
        .or_else(|| logs::logger::run_if_meant(arguments()))
        .or_else(|| aside::process::run_if_meant(arguments()))
}

pub mod accounts;
pub mod aside;
pub mod audit;
pub mod balance;
pub mod bus;
pub mod cgroup;
pub mod clock;
pub mod daemon;
pub mod data;
pub mod dns;
pub mod failure;
pub mod fleet;
pub mod keep;
pub mod lease;
pub mod lock;
pub mod logs;
pub mod network;
pub mod plan;
pub mod planning;
pub mod plugin;
pub mod run;
pub mod sandbox;
pub mod source;
pub mod state;
pub mod store;
pub mod supervise;
pub mod uids;
pub mod zones;
