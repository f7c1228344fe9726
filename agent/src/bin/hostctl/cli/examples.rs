//! What help says after a command: its examples, and the exit codes of all.

pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0        success; with run, lock or exec, the program's own
  1        with run, lock or exec, the program's own; with doctor, something needed is missing; with
           --wait, it did not come to be; with status, something does not serve; with audit verify,
           the log was tampered with; with policy check, a case failed
  2        the command line is wrong; with plan --deployed, something would change
  65       the manifest or the host policy is wrong, or the one is not allowed by the other; a schedule
           or a time zone is none
  66       a file that was named can't be read
  69       this host can't do it, or no hostd answers
  71       the kernel refused a step of the sandbox
  73       a file can't be written, or is there already
  75       a port, a name, a directory or a lock is held by somebody else; with apply, what runs
           is no longer what the plan was made from
  77       --strict or the host policy does not allow it
  126, 127 with run, lock or exec, the program can't be executed, or does not exist
  128+N    with run, lock or exec, the program was ended by signal N; 130 also when stopped before it started

Example:
  hostctl run app.toml --port-offset 3";

pub(super) const PLAN_EXAMPLES: &str = "\
Examples:
  hostctl plan app.toml --set limits.memory=1G --origin
  hostctl plan app.toml --deployed";

pub(super) const DEPLOY_EXAMPLES: &str = "\
Examples:
  hostctl deploy app.toml --wait
  hostctl deploy app.toml --set limits.memory=1G --port-offset 3";

pub(super) const LOGS_EXAMPLES: &str = "\
Examples:
  hostctl logs shop.web -f
  hostctl logs shop --since 10m --level warn
  hostctl logs shop --since today --where 'status>=500' --grep checkout -n 100
  hostctl logs shop --json | jq -r .body";

pub(super) const SINKS_EXAMPLES: &str = "\
Examples:
  hostctl sinks ls shop
  hostctl sinks add shop loki+http://127.0.0.1:3100 --when 'level>=warn'
  hostctl sinks test shop
  hostctl sinks remove shop loki+http://127.0.0.1:3100 --when 'level>=warn'";

pub(super) const TRACEBACKS_EXAMPLES: &str = "\
Examples:
  hostctl tracebacks shop --since today
  hostctl tracebacks shop --show 3f9a";

pub(super) const EXEC_EXAMPLES: &str = "\
Examples:
  hostctl exec shop -- ls -l
  hostctl exec shop.db -- pg_dump shop > shop.sql
  hostctl exec shop.web.2 --tty -- sh";

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  hostctl run app.toml --port-offset 3
  hostctl run app.toml --set limits.memory=1G --profile dev
  hostctl run --name site --port 8080 --read . -- python3 -m http.server 8080";
