//! The manifest as it is written: every key of the format, with its type and its documentation.
//!
//! Owns the one list of keys; decoder, error messages, JSON Schema and reference all come from
//! it. Invariant: a raw value is right by itself (a size parses, a path has no `..`); whether two
//! values agree is checked by `validate`. Never holds a default, only the words that describe it.

pub(crate) mod capabilities;
pub(crate) mod env;
mod lifecycle;
mod listen;
pub(crate) mod logs;
pub(crate) mod network;
pub(crate) mod paths;
mod scalars;
mod short;
mod top;
pub(crate) mod triggers;
mod words;

use crate::command::Command;
use crate::decode::{At, Map, Whole, table};
use crate::limits;
use crate::manifest::{Address, Base, Days, Full, Missed, Network, Overlap, Protocol, ReadyBy};
use crate::manifest::{Rotate, StopSignal, Unserved, User};
use crate::names::{AppName, HookName, PolicyName, PortName, ProfileName, ServiceName};
use crate::quantity::{Bytes, CpuShare, Span};

use capabilities::{Capability, SyscallName};
use env::{EnvName, EnvValue};
use listen::RawListen;
use logs::{HeaderName, HeaderValue, Keep, LabelName, LabelValue, SinkAddress, When};
use network::{InterfaceName, RawDestination, Route};
use paths::{DirPath, ReadPath, WritePath};
pub(crate) use top::{RawManifest, RawProfile};
use triggers::{Cron, Event, HttpPath, HttpTrigger, Zone};

/// A port's number.
pub(crate) type PortNumber = Whole<1, 65535>;

table! {
    /// What belongs to the app and not to one of its services.
    RawApp {
        /// The app's name: lower-case letters, digits and hyphens; unique on a host.
        name: AppName = "required", "\"shop\"";
        /// Several services, each with the keys a single service has at the top level.
        services: Map<ServiceName, RawService> = "one service, at the top level", "{ web = { run = \"./web\", port = 3000 } }";
        /// Programs run on a trigger: a schedule, a request or an event.
        hooks: Map<HookName, RawHook> = "none", "{ digest = { cron = \"0 7 * * *\", run = \"./digest\" } }";
        /// Balancing policies that are programs of the app.
        policies: Map<PolicyName, RawPolicy> = "none", "{ rack-aware = { run = \"python3 rack_aware.py\" } }";
        /// Where the app's output goes and how much of it is kept.
        logs: RawLogs = "see its keys", "{ keep = \"500M 14d\" }";
        /// Named sets of overrides, chosen with `--profile`: any top-level key but `name` and `profile`.
        profile: Map<ProfileName, RawProfile> = "none", "{ dev = { count = 1 } }";
    }
}

table! {
    /// One long-running program.
    RawService {
        /// Working directory; a relative one starts at the manifest's folder.
        dir: DirPath = "the manifest's folder", "\"/srv/forum\"";
        /// The program and its arguments, split into words without a shell, or a list of words.
        run: Command = "required", "\"./server --listen 127.0.0.1:$PORT\"";
        /// The main port, `$PORT` for the program: a number, or a table as in `[ports]`.
        port: RawPort = "none", "8080";
        /// Host name, with a path if wanted, that the load balancer sends to this service.
        route: Route = "none", "\"shop.example.com\"";
        /// How to tell that an instance works: "/path", "tcp", "exec:./check", or a table.
        health: RawHealth = "none", "\"/up\"";
        /// When an instance does its work: "notify" (sd_notify), "health", "port" (the main one
        /// accepts), a time it has been up, or a table.
        ready: RawReady = "health, else port, else up for 1s", "\"notify\"";
        /// How long a stop may take before it is done by force, or a table.
        stop: RawStop = "10s", "\"30s\"";
        /// How many instances run.
        count: Whole<1, { limits::COUNT }> = "1", "2";
        /// Services of the same app that start first and may be connected to.
        needs: Vec<At<ServiceName>> = "none", "[\"db\"]";
        /// How connections are shared out: a built-in policy or one of `[policies]`.
        policy: PolicyName = "round-robin", "\"least-connections\"";
        /// For how long a client stays with its instance after its last new connection.
        affinity: Span = "none", "\"10m\"";
        /// For how long the clients of an instance that is to end are waited for.
        drain: Span = "30s", "\"2m\"";
        /// What clients meet while no instance serves.
        unserved: Unserved = "refuse", "\"wait\"";
        /// Stop after this long without a connection; the next connection starts it again.
        idle: Span = "never", "\"10m\"";
        /// Further ports by name, each `$PORT_<NAME>` for the program: a number or a table.
        ports: Map<PortName, RawPort> = "none", "{ metrics = 9100 }";
        /// What the program may use; anything not listed does not exist for it.
        access: RawAccess = "see its keys", "{ read = [\".\"] }";
        /// What the program may use up.
        limits: RawLimits = "see its keys", "{ memory = \"512M\" }";
        /// Environment variables; `$PORT` and its kin are replaced in their values.
        env: Map<EnvName, EnvValue> = "none", "{ RAILS_ENV = \"production\" }";
    }
}

table! {
    /// A leased port.
    RawPort {
        /// The number.
        port: PortNumber = "required", "9100";
        /// Transport protocol.
        protocol: Protocol = "tcp", "\"udp\"";
        /// The only network interface the port is reachable through.
        interface: InterfaceName = "any the program binds", "\"lo\"";
        /// Where clients find the port: another number, or an address and a number.
        listen: RawListen = "its number, on every address", "80";
        /// The program cannot be told its port: its bind is rewritten.
        fixed: bool = "false", "true";
        /// The port is handed over as a bound socket (`LISTEN_FDS`).
        activate: bool = "false", "true";
    }
}

table! {
    /// A health check.
    RawHealth {
        /// Path that answers 2xx or 3xx on the main port.
        http: HttpPath = "none", "\"/up\"";
        /// The main port accepts a connection.
        tcp: bool = "false", "true";
        /// Program that exits with 0.
        exec: Command = "none", "\"./check\"";
        /// Time between two checks.
        every: Span = "5s", "\"10s\"";
        /// Time one check may take.
        within: Span = "1s", "\"500ms\"";
        /// Successes in a row that make an instance ready.
        rise: Whole<1, { limits::CHECKS }> = "1", "2";
        /// Failures in a row that make it unhealthy.
        fall: Whole<1, { limits::CHECKS }> = "3", "5";
    }
}

table! {
    /// When an instance does its work.
    RawReady {
        /// What shows it: "notify", "health", "port", or a time it has been up.
        by: ReadyBy = "health, else port, else up for 1s", "\"notify\"";
        /// Time it may take; an instance that needs longer has failed.
        within: Span = "60s", "\"2m\"";
    }
}

table! {
    /// How an instance is stopped.
    RawStop {
        /// The signal that asks the program to end, with or without SIG.
        signal: StopSignal = "TERM", "\"INT\"";
        /// Time it may take before everything is ended by force.
        grace: Span = "10s", "\"30s\"";
    }
}

table! {
    /// What a program may use.
    RawAccess {
        /// Which of the host's own files are in view.
        base: Base = "system", "\"none\"";
        /// Paths that may be read, programs below them included.
        read: Vec<At<ReadPath>> = "the manifest's folder", "[\".\", \"/etc/ssl/certs\"]";
        /// Paths that may be written; `data:` marks a directory that hostctl creates and keeps.
        write: Vec<At<RawWrite>> = "none", "[\"data:/srv/shop\"]";
        /// Which network stack the program sees.
        network: Network = "host if anything of it is granted, else none", "\"private\"";
        /// The only network interfaces traffic may pass.
        interfaces: Vec<At<InterfaceName>> = "what the ports and destinations need", "[\"lo\", \"eth0\"]";
        /// Destinations that may be connected to, each with its port.
        connect: Vec<At<RawDestination>> = "the app's own ports and its needs", "[\"10.0.0.0/8:5432\"]";
        /// Which address the program listens on; with one of its own, several copies can have the
        /// same port.
        address: Address = "host", "\"own\"";
        /// Linux capabilities, by name.
        capabilities: Vec<At<Capability>> = "none", "[\"CAP_NET_RAW\"]";
        /// System calls beyond the default filter, by name.
        syscalls: Vec<At<SyscallName>> = "none", "[\"io_uring_setup\"]";
        /// Which user the program runs as.
        user: User = "own", "\"root\"";
    }
}

table! {
    /// A path that may be written.
    RawWrite {
        /// The path, `data:` in front of a managed directory.
        path: WritePath = "required", "\"data:/srv/plugins\"";
        /// Programs below the path may be executed.
        exec: bool = "false", "true";
    }
}

table! {
    /// What a program may use up.
    RawLimits {
        /// Memory of all processes of an instance.
        memory: Bytes = "no limit", "\"512M\"";
        /// Processor time: 100% is one core.
        cpu: CpuShare = "no limit", "\"150%\"";
        /// Processes and threads of an instance.
        processes: Whole<1, { limits::PROCESSES }> = "no limit", "64";
        /// Open descriptors of one process.
        files: Whole<1, { limits::FILES }> = "65536, or the host's hard limit if that is lower", "1024";
        /// Share of disk time beside the host's other instances, as a weight.
        io: Whole<1, { limits::IO_WEIGHT }> = "100, as for everybody", "500";
        /// Largest core file of a process that crashes, where the host leaves it to the program.
        core: Bytes = "none is written", "\"64M\"";
    }
}

table! {
    /// Where output goes.
    RawLogs {
        /// How much is kept: a size, an age, or both.
        keep: Keep = "\"500M 14d\"; with an age alone the size is 500M", "\"1G 30d\"";
        /// What happens when the disk takes no more; what is lost is counted and said in the log.
        full: Full = "drop-oldest", "\"block\"";
        /// Variables whose values never get into a log.
        redact: Vec<At<EnvName>> = "those whose names end in PASSWORD, PASSWD, SECRET, TOKEN, KEY or CREDENTIALS, and passwords in URLs", "[\"DB_PASSWORD\"]";
        /// Where records are sent, each an address or a table with a filter.
        sinks: Vec<At<RawSink>> = "none", "[\"journal\"]";
    }
}

table! {
    /// One destination of log records.
    RawSink {
        /// The address: journal, file:, syslog:, loki+http(s)://, otlp+http(s)://, http(s)://, exec:.
        to: SinkAddress = "required", "\"file:log/app.log\"";
        /// Filter; only matching records are sent.
        when: When = "every record", "\"level>=warn\"";
        /// For file: sinks, the size at which a new file is begun.
        rotate: Rotate = "100M", "\"10M\"";
        /// For file: sinks, how many earlier files stay beside it.
        copies: Whole<0, { limits::COPIES }> = "5", "2";
        /// For loki+ sinks, labels beside app, service, instance, host and level.
        labels: Map<LabelName, LabelValue> = "none", "{ team = \"payments\" }";
        /// For sinks of HTTP, further headers; their values never get into a log.
        headers: Map<HeaderName, HeaderValue> = "none", "{ Authorization = \"Bearer …\" }";
    }
}

table! {
    /// A program run on a trigger; exactly one of `cron`, `every`, `http` and `event`.
    RawHook {
        /// Schedule: five crontab fields, or a word such as @daily.
        cron: Cron = "none", "\"0 7 * * *\"";
        /// A fixed time between two starts.
        every: Span = "none", "\"35m\"";
        /// Time zone of the schedule, by its IANA name, or "local".
        zone: Zone = "UTC", "\"Europe/Prague\"";
        /// How the schedule's two day fields combine when both are restricted.
        days: Days = "must be said when it matters", "\"both\"";
        /// What happens to runs that were missed.
        missed: Missed = "once", "\"skip\"";
        /// Request that starts it: a method if wanted, then host and path.
        http: HttpTrigger = "none", "\"POST api.example.com/thumbnail\"";
        /// Event that starts it.
        event: Event = "none", "\"crashed\"";
        /// The program and its arguments.
        run: Command = "required", "\"./digest\"";
        /// Service whose directory, grants, environment and limits it shares.
        like: ServiceName = "none", "\"web\"";
        /// What happens when the previous run still runs.
        overlap: Overlap = "skip", "\"queue\"";
        /// The run is ended by force after this long.
        timeout: Span = "none", "\"20m\"";
        /// How many run at the same time, for `http`.
        max: Whole<1, { limits::COUNT }> = "1", "8";
    }
}

table! {
    /// A balancing policy that is a program.
    RawPolicy {
        /// The program and its arguments.
        run: Command = "required", "\"python3 rack_aware.py\"";
        /// Time for one answer.
        deadline: Span = "decided by the agent", "\"20ms\"";
        /// Built-in policy used while the program gives no answer.
        fallback: PolicyName = "round-robin", "\"random\"";
    }
}
