//! The command line as types; help is their documentation.

pub mod apps;
mod audit;
mod examples;
mod hooks;
pub mod lb;
mod leases;
mod logs;
pub mod names;
pub mod policy;
pub mod sinks;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::client::place::Machine;
use apps::{
    ApplyArguments, DeployArguments, EventsArguments, ExecArguments, HaltArguments,
    HistoryArguments, PartArguments, PsArguments, RemoveArguments, RollbackArguments,
    ScaleArguments, ShellArguments, StatusArguments, TopArguments,
};
pub use audit::{AuditArguments, AuditCommand};
use examples::{
    DEPLOY_EXAMPLES, EXEC_EXAMPLES, EXIT_CODES, LOGS_EXAMPLES, PLAN_EXAMPLES, RUN_EXAMPLES,
    SINKS_EXAMPLES, TRACEBACKS_EXAMPLES,
};
pub use hooks::{HooksArguments, HooksCommand, NextArguments};
pub use lb::LbArguments;
pub use leases::{LeaseArguments, LeaseCommand, LockArguments, PortOffset};
pub use logs::{LogsArguments, TracebacksArguments};
pub use names::NamesArguments;
pub use policy::PolicyArguments;
pub use sinks::SinksArguments;

/// Run programs on this host in the sandbox their manifest describes.
///
/// A manifest (app.toml) names a program, its ports, the paths it may read and write, and its
/// limits. The program runs with that and nothing else.
#[derive(Debug, Parser)]
#[command(name = "hostctl", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// Ask the hostd of another machine, over ssh; else that of $HOSTCTL_HOST, else of this one.
    #[arg(long, global = true, value_name = "USER@MACHINE")]
    pub host: Option<Machine>,
}

/// The one command that starts a program, by itself: the tree of all commands, with their help, costs
/// a start more than the rest of the command line.
#[derive(Debug, Parser)]
#[command(name = "hostctl", disable_help_flag = true)]
struct Start {
    #[command(subcommand)]
    command: StartCommand,
    #[arg(long, global = true)]
    host: Option<Machine>,
}

#[derive(Debug, Subcommand)]
enum StartCommand {
    Run(Box<RunArguments>),
}

impl Cli {
    /// The command line of this process; ends it with a message where that is wrong, or asks for
    /// help.
    pub fn read() -> Cli {
        let is_run = std::env::args_os().nth(1).is_some_and(|word| word == "run");
        // Whatever is wrong is said by the whole tree.
        match Some(()).filter(|()| is_run).map(|()| Start::try_parse()) {
            Some(Ok(Start { command: StartCommand::Run(run), host })) => {
                Cli { command: Command::Run(run), host }
            }
            _ => Cli::parse(),
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run an app in the foreground.
    ///
    /// Builds the sandbox that the manifest describes, starts the program in it, and stays until
    /// it ends. Ctrl-C and SIGTERM ask the program to end, and end it by force after the grace
    /// time. The exit code is the program's, or 128+N when signal N ended it.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArguments>),

    /// Show what `run` would do, and do nothing.
    ///
    /// Prints the resolved plan: every value, with --origin where it comes from, with --steps the
    /// ordered steps of the sandbox. Nothing is written. With --deployed it asks hostd what
    /// deploying the manifest would change; the exit code is then 0 without a difference and 2
    /// with one.
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(Box<PlanArguments>),

    /// Deploy an app: hostd keeps it running from now on.
    ///
    /// Makes a new version of the app from the manifest and starts to roll it out. Where the
    /// version before can serve meanwhile it does, and a version that does not become ready is
    /// rolled back. Without --wait this ends as soon as the version is accepted. Ctrl-C ends the
    /// waiting, not the rollout.
    #[command(after_help = DEPLOY_EXAMPLES)]
    Deploy(Box<DeployArguments>),

    /// Deploy exactly what `plan --deployed` showed.
    ///
    /// The token of that plan stands for what was shown and for what ran then: if either is no
    /// longer so, nothing is done (exit code 75). Without a token the difference is shown and
    /// asked about.
    #[command(after_help = "Example:\n  hostctl apply app.toml --set limits.memory=1G --wait")]
    Apply(Box<ApplyArguments>),

    /// List what runs, an instance a line.
    ///
    /// A ~ before a number says that the kernel did not count it for the instance: processes were
    /// added up.
    #[command(after_help = "Example:\n  hostctl ps")]
    Ps(PsArguments),

    /// Show what instances use up, anew every second.
    ///
    /// q or Ctrl-C ends it. Without a terminal one table is printed.
    #[command(after_help = "Example:\n  hostctl top shop")]
    Top(TopArguments),

    /// Show everything about an app: instances, ports, limits, rollout, last lines.
    ///
    /// The exit code is 0 if everything that should run serves, else 1.
    #[command(after_help = "Example:\n  hostctl status shop")]
    Status(StatusArguments),

    /// Show what happened.
    #[command(after_help = "Example:\n  hostctl events shop -f")]
    Events(EventsArguments),

    /// Show what apps wrote.
    ///
    /// Records of several instances are merged by time; those of one stay in their order. Text is
    /// shown without control characters. What was lost, deleted or damaged is said in its place.
    /// Your own logs are read from their files, others through hostd, which asks the host policy
    /// for "deploy": logs can hold secrets.
    #[command(after_help = LOGS_EXAMPLES)]
    Logs(LogsArguments),

    /// Show what went wrong in apps, by kind: stack traces and crashes.
    ///
    /// Traces that tell of the same place are one group, whatever their addresses and values. A
    /// program that a signal ended (SIGSEGV, SIGABRT and the like) is a group of its own.
    #[command(after_help = TRACEBACKS_EXAMPLES)]
    Tracebacks(TracebacksArguments),

    /// Show where the records of apps go, and change it while they run.
    ///
    /// Sinks of the manifest's `logs.sinks` and sinks that are added here are served alike, each at
    /// its own pace: one that is down holds up nobody, and gets what it missed when it is back.
    /// Without a command, lists them all.
    #[command(after_help = SINKS_EXAMPLES)]
    Sinks(SinksArguments),

    /// Show the load balancer: services, who serves them, and change it while they run.
    ///
    /// hostd balances the ports of what it runs as root. Backends that it does not run can be added.
    /// Without a command, lists the services.
    #[command(after_help = lb::EXAMPLES)]
    Lb(LbArguments),

    /// Run a command inside an instance.
    ///
    /// The command runs in the instance's sandbox, with the app's rights and limits and no others.
    /// Its standard streams are this command's; with --tty it gets a terminal. Signals are passed
    /// on; Ctrl-C twice ends this side. The exit code is the command's, or 128+N when signal N
    /// ended it.
    #[command(after_help = EXEC_EXAMPLES)]
    Exec(ExecArguments),

    /// Run a shell inside an instance.
    ///
    /// It is `exec --tty` with sh, which the app must have in its view.
    #[command(after_help = "Example:\n  hostctl shell shop.web")]
    Shell(ShellArguments),

    /// Start what was stopped; what waits after a failure is tried at once.
    #[command(after_help = "Example:\n  hostctl start shop.web --wait")]
    Start(PartArguments),

    /// Stop an app or a service, and keep what it has.
    ///
    /// It stays stopped until it is started or deployed, also after a reboot.
    #[command(after_help = "Example:\n  hostctl stop shop --wait")]
    Stop(PartArguments),

    /// Replace the instances of an app or a service by new ones.
    #[command(after_help = "Example:\n  hostctl restart shop.web --wait")]
    Restart(PartArguments),

    /// Change how many instances of a service run.
    ///
    /// That number stays until a deployed manifest says another one than the manifest before it.
    #[command(after_help = "Example:\n  hostctl scale shop.web=3 --wait")]
    Scale(ScaleArguments),

    /// List the versions of an app, or print the manifest of one.
    #[command(after_help = "Example:\n  hostctl history shop 3 > app.toml")]
    History(HistoryArguments),

    /// Deploy an earlier version again: its manifest and its parameters, word for word.
    #[command(after_help = "Example:\n  hostctl rollback shop --wait")]
    Rollback(RollbackArguments),

    /// Stop an app and forget it.
    ///
    /// Its managed directories stay, unless --data deletes them; that is asked about.
    #[command(after_help = "Example:\n  hostctl remove shop --wait")]
    Remove(RemoveArguments),

    /// Stop every app in order, before the host goes down.
    ///
    /// Waits until nothing runs any more. What should run starts again when hostd does. Only root
    /// may.
    #[command(after_help = "Example:\n  hostctl halt --timeout 1m")]
    Halt(HaltArguments),

    /// Join standard input and output to hostd's socket: the other end of --host.
    #[command(hide = true)]
    Proxy,

    /// Check a manifest without a host.
    ///
    /// Reads the file with its overrides and reports everything that is wrong with it. Asks this
    /// host for nothing, so it gives the same answer everywhere.
    #[command(after_help = "Example:\n  hostctl check app.toml --profile production")]
    Check(CheckArguments),

    /// Print the JSON Schema of the manifest.
    ///
    /// For editors and generators: JSON Schema, draft 2020-12.
    #[command(after_help = "Example:\n  hostctl schema > app.schema.json")]
    Schema,

    /// Write a manifest for the app in this directory.
    ///
    /// Looks for a Procfile, package.json, a Python web app, a Cargo package, a Go module, a Gemfile
    /// with puma, an index.html or a single executable, and writes an app.toml of three to eight
    /// lines. Nothing is overwritten.
    #[command(after_help = "Example:\n  hostctl init --name shop")]
    Init(InitArguments),

    /// Say what this host can do, and what each missing feature costs.
    #[command(after_help = "Example:\n  hostctl doctor --json")]
    Doctor(DoctorArguments),

    /// List who holds which port, name, data directory or lock.
    ///
    /// A running app has its ports, its name and its managed directories for itself; a lease ends
    /// with its holder, whatever ends that.
    #[command(after_help = "Example:\n  hostctl lease show port:8080/tcp")]
    Lease(LeaseArguments),

    /// Run a command while holding a lock.
    ///
    /// At most --max commands hold a lock of this name at once; without --wait, one too many is
    /// refused with exit code 75. The lock ends with the command, whatever ends that. The command
    /// finds the lease's number, which only rises, in $HOSTCTL_FENCE. It runs as it is, in no
    /// sandbox; the exit code is its own, or 128+N when signal N ended it.
    #[command(after_help = "Example:\n  hostctl lock backup --wait -- sh backup.sh")]
    Lock(LockArguments),

    /// Say when schedules are due.
    #[command(
        after_help = "Example:\n  hostctl hooks next --expr \"0 7 * * 1-5\" --zone Europe/Prague --count 3"
    )]
    Hooks(HooksArguments),

    /// Show who did what on this host, and verify that the record of it is whole.
    ///
    /// hostd records what somebody asks it to change before it is changed. Each entry holds the
    /// hash of the one before it. Without a command, the last entries.
    #[command(after_help = "Examples:\n  hostctl audit -n 50\n  hostctl audit verify")]
    Audit(AuditArguments),

    /// Have this host's resolver find services by name.
    ///
    /// A service that hostd keeps is NAME.internal on its host. hostd answers for that; `doctor` says
    /// whether the resolver asks it.
    #[command(after_help = "Example:\n  hostctl names announce")]
    Names(NamesArguments),

    /// Try balancing policies that are programs.
    ///
    /// A policy of `[policies.NAME]` reads a question a line and answers with weights or slots, in
    /// JSON. Here a plugin is held to what every plugin must do, and shown what it would do.
    #[command(after_help = "Example:\n  hostctl policy check ./rack_aware.py")]
    Policy(PolicyArguments),

    /// Print completions for a shell.
    #[command(after_help = "Example:\n  hostctl completions bash > /etc/bash_completion.d/hostctl")]
    Completions {
        /// The shell to complete for.
        shell: clap_complete::Shell,
    },
}

/// What to read and what to put on top of it.
#[derive(Debug, Args)]
pub struct ManifestArguments {
    /// The manifest; or a directory with an app.toml in it.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Put a [profile.NAME] of the manifest on top of it.
    #[arg(long, value_name = "NAME", help_heading = "Overrides")]
    pub profile: Option<String>,

    /// Set one value, typed as the manifest would: --set limits.memory=1G.
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Overrides")]
    pub set: Vec<String>,

    /// Take a key away: --unset hooks.digest.
    #[arg(long, value_name = "KEY", help_heading = "Overrides")]
    pub unset: Vec<String>,

    /// Add N to every port of the app, and +N to its name and data directories; with run, auto
    /// takes the smallest N at which all of them are free.
    #[arg(long, value_name = "N|auto", help_heading = "Overrides")]
    pub port_offset: Option<PortOffset>,
}

/// A manifest typed as flags.
#[derive(Debug, Default, Args)]
pub struct FlagArguments {
    /// Name of the app, when there is no file.
    #[arg(long, value_name = "NAME", help_heading = "Instead of a file")]
    pub name: Option<String>,

    /// Main port: $PORT.
    #[arg(long, value_name = "PORT", help_heading = "Instead of a file")]
    pub port: Option<u16>,

    /// Grant a path for reading and executing.
    #[arg(long, value_name = "PATH", help_heading = "Instead of a file")]
    pub read: Vec<String>,

    /// Grant a path for writing; data:PATH for a managed directory.
    #[arg(long, value_name = "PATH", help_heading = "Instead of a file")]
    pub write: Vec<String>,

    /// Grant a destination: 10.0.0.0/8:5432, example.com:443, or *.
    #[arg(long, value_name = "DESTINATION", help_heading = "Instead of a file")]
    pub connect: Vec<String>,

    /// Host files in view: system or none.
    #[arg(long, value_name = "BASE", help_heading = "Instead of a file")]
    pub base: Option<String>,

    /// Network stack: host or none.
    #[arg(long, value_name = "NETWORK", help_heading = "Instead of a file")]
    pub network: Option<String>,

    /// Set an environment variable.
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Instead of a file")]
    pub env: Vec<String>,

    /// Limit memory: 512M.
    #[arg(long, value_name = "SIZE", help_heading = "Instead of a file")]
    pub memory: Option<String>,

    /// The program and its arguments, after --.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// How the host is to be treated.
#[derive(Debug, Args)]
pub struct HostArguments {
    /// The service to run, when the app has several.
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,

    /// Refuse to run when anything can't be enforced here.
    #[arg(long)]
    pub strict: bool,

    /// Time between the request to stop and the end by force, instead of the manifest's.
    #[arg(long, value_name = "DURATION")]
    pub grace: Option<String>,
}

#[derive(Debug, Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub manifest: ManifestArguments,
    #[command(flatten)]
    pub flags: FlagArguments,
    #[command(flatten)]
    pub host: HostArguments,
    /// Write the manifest that the flags above mean, and run it.
    #[arg(long, value_name = "FILE", help_heading = "Instead of a file")]
    pub save: Option<PathBuf>,
    /// Run all the same when a limit can't be enforced here.
    #[arg(long, conflicts_with = "strict")]
    pub allow_unenforced: bool,
    /// Leave Ctrl-C to the program, as a shell or debugger wants it.
    #[arg(long, short)]
    pub interactive: bool,
    /// Say nothing but errors.
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct PlanArguments {
    #[command(flatten)]
    pub manifest: ManifestArguments,
    #[command(flatten)]
    pub flags: FlagArguments,
    #[command(flatten)]
    pub host: HostArguments,
    /// Show where each value comes from.
    #[arg(long)]
    pub origin: bool,
    /// Show the steps of the sandbox in order.
    #[arg(long)]
    pub steps: bool,
    /// Show the difference to what hostd runs, and the token for `apply`.
    #[arg(long, conflicts_with_all = ["origin", "steps", "service"])]
    pub deployed: bool,
    /// With --deployed: as `deploy` would take it.
    #[arg(long, requires = "deployed")]
    pub allow_unenforced: bool,
    /// Print JSON: values, origins, steps and what is not enforced; with --deployed, hostd's answer.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CheckArguments {
    #[command(flatten)]
    pub manifest: ManifestArguments,
    /// Print what is wrong as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct InitArguments {
    /// Directory of the app.
    #[arg(value_name = "DIRECTORY", default_value = ".")]
    pub directory: PathBuf,
    /// Name of the app; by default the directory's.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Print the manifest instead of writing it.
    #[arg(long)]
    pub print: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
