//! What stands in a log: one JSON object a line, first what all lines belong to, then records.
//!
//! Invariant: a change of meaning raises `v`, and every version that was ever written can be read; a
//! reader ignores keys it does not know. Order is (instance, `seq`), never time. Field names are those
//! of the OpenTelemetry log data model (1.0), flattened.

pub mod metrics;
pub mod sinks;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Version of the format.
pub const VERSION: u32 = 1;

/// The first line of every file of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Version of this format, [`VERSION`].
    pub v: u32,
    /// What all records of the file belong to.
    pub resource: Resource,
    /// The number of the first record that was to be written to it.
    pub first_seq: u64,
}

/// Who wrote what stands in a log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resource {
    /// The app, `hello+3` with a port offset.
    pub app: String,
    /// The service within the app.
    pub service: String,
    /// The instance within the service, from 1.
    pub instance: u32,
    /// The app's version, where it was deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Name of the host.
    pub host: String,
    /// The boot of the host in which it ran (/proc/sys/kernel/random/boot_id).
    pub boot_id: String,
    /// When this start of the instance was, RFC 3339 in UTC.
    pub started: String,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Version of this format, [`VERSION`].
    pub v: u32,
    /// Rises by one from record to record of an instance, over all its starts; records that were lost
    /// have had numbers as well.
    pub seq: u64,
    /// When it was read, RFC 3339 in UTC with nanoseconds.
    pub ts: String,
    /// OpenTelemetry's ranges by name.
    pub severity: Severity,
    /// The line, or the message of a structured one.
    pub body: String,
    /// Parsed fields, and what is said about the line itself: see [`attribute`].
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// 32 hexadecimal digits (W3C Trace Context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// 16 hexadecimal digits (W3C Trace Context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// In an instance's own log: how many bytes of its stream are in records with this one, since the
    /// instance's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// Severity ranges of the OpenTelemetry log data model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Fine-grained debugging; 1 to 4.
    Trace,
    /// Debugging; 5 to 8.
    Debug,
    /// Nothing unusual; what a plain line is; 9 to 12.
    Info,
    /// Not an error yet; 13 to 16.
    Warn,
    /// Something failed; 17 to 20.
    Error,
    /// The program cannot go on; 21 to 24.
    Fatal,
}

impl Severity {
    /// Every one, from the least to the worst.
    pub const ALL: [Severity; 6] = [
        Severity::Trace,
        Severity::Debug,
        Severity::Info,
        Severity::Warn,
        Severity::Error,
        Severity::Fatal,
    ];

    /// The word of a record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Trace => "trace",
            Severity::Debug => "debug",
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Error => "error",
            Severity::Fatal => "fatal",
        }
    }

    /// What a word of this or another log format means, in any case: `WARNING`, `crit`, `notice`.
    #[must_use]
    pub fn named(word: &str) -> Option<Severity> {
        const WORDS: [(&str, Severity); 24] = [
            ("info", Severity::Info),
            ("error", Severity::Error),
            ("warn", Severity::Warn),
            ("warning", Severity::Warn),
            ("debug", Severity::Debug),
            ("trace", Severity::Trace),
            ("fatal", Severity::Fatal),
            ("critical", Severity::Fatal),
            ("err", Severity::Error),
            ("notice", Severity::Info),
            ("information", Severity::Info),
            ("informational", Severity::Info),
            ("crit", Severity::Fatal),
            ("alert", Severity::Fatal),
            ("emerg", Severity::Fatal),
            ("emergency", Severity::Fatal),
            ("panic", Severity::Fatal),
            ("dpanic", Severity::Fatal),
            ("severe", Severity::Error),
            ("verbose", Severity::Debug),
            ("fine", Severity::Debug),
            ("finer", Severity::Trace),
            ("finest", Severity::Trace),
            ("silly", Severity::Trace),
        ];
        let found = WORDS.iter().find(|(own, _)| own.eq_ignore_ascii_case(word));
        found.map(|(_, severity)| *severity)
    }
}

/// Attributes that the agent itself gives.
pub mod attribute {
    /// Where a record came by: `stdout`, `stderr`, `syslog`, `journal`; `agent` for what hostctl says.
    pub const STREAM: &str = "stream";
    /// Which part of a line, or of a stack trace, that was too long for one record, from 0.
    pub const PART: &str = "part";
    /// Whether it is the last part.
    pub const LAST_PART: &str = "last_part";
    /// The bytes of what is not UTF-8, in hexadecimal digits; the text then has U+FFFD.
    pub const BYTES_HEX: &str = "bytes_hex";
    /// The kind of an exception, by its language's name.
    pub const EXCEPTION_TYPE: &str = "exception.type";
    /// What it said.
    pub const EXCEPTION_MESSAGE: &str = "exception.message";
    /// Its lines as they were written.
    pub const EXCEPTION_STACKTRACE: &str = "exception.stacktrace";
    /// Equal for stack traces that tell of the same place: 16 hexadecimal digits.
    pub const EXCEPTION_FINGERPRINT: &str = "exception.fingerprint";
    /// `python`, `java`, `node`, `ruby`, `go`, `rust`; `signal` for a crash.
    pub const EXCEPTION_LANGUAGE: &str = "exception.language";
    /// Of a crash by a signal: the last lines that the program wrote, a list.
    pub const CRASH_LAST_LINES: &str = "crash.last_lines";
    /// Of a crash by a signal: where its core is, or how to get one.
    pub const CRASH_CORE: &str = "crash.core";
    /// Who sent a datagram, as a word: `user`, `daemon`, `local0` (RFC 5424, table 1).
    pub const SYSLOG_FACILITY: &str = "syslog.facility";
    /// Its severity by syslog's own scale: `emerg` to `debug` (RFC 5424, table 2).
    pub const SYSLOG_SEVERITY: &str = "syslog.severity";
    /// When it was sent, in its own form.
    pub const SYSLOG_TIMESTAMP: &str = "syslog.timestamp";
    /// The host it names.
    pub const SYSLOG_HOSTNAME: &str = "syslog.hostname";
    /// Its APP-NAME or tag; `SYSLOG_IDENTIFIER` of the journal.
    pub const SYSLOG_APPNAME: &str = "syslog.appname";
    /// Its PROCID: most often the number of a process.
    pub const SYSLOG_PROCID: &str = "syslog.procid";
    /// Its MSGID.
    pub const SYSLOG_MSGID: &str = "syslog.msgid";
    /// Its structured data: an object for each id.
    pub const SYSLOG_DATA: &str = "syslog.data";
    /// The source file that said it; `CODE_FILE` of the journal.
    pub const CODE_FILE: &str = "code.file.path";
    /// The line of it, `CODE_LINE`.
    pub const CODE_LINE: &str = "code.line.number";
    /// The function, `CODE_FUNC`.
    pub const CODE_FUNCTION: &str = "code.function.name";
    /// Fields of an entry of the journal that had not enough room.
    pub const JOURNAL_CUT: &str = "journal.cut";
    /// In a record that stands for lost ones: how many.
    pub const GAP: &str = "gap";
    /// The number of the first of them; its own number is the last one's.
    pub const GAP_FIRST: &str = "gap.first";
    /// Why they were lost.
    pub const GAP_CAUSE: &str = "gap.cause";

    /// Every one.
    pub const ALL: [&str; 26] = [
        STREAM,
        PART,
        LAST_PART,
        BYTES_HEX,
        EXCEPTION_TYPE,
        EXCEPTION_MESSAGE,
        EXCEPTION_STACKTRACE,
        EXCEPTION_FINGERPRINT,
        EXCEPTION_LANGUAGE,
        CRASH_LAST_LINES,
        CRASH_CORE,
        SYSLOG_FACILITY,
        SYSLOG_SEVERITY,
        SYSLOG_TIMESTAMP,
        SYSLOG_HOSTNAME,
        SYSLOG_APPNAME,
        SYSLOG_PROCID,
        SYSLOG_MSGID,
        SYSLOG_DATA,
        CODE_FILE,
        CODE_LINE,
        CODE_FUNCTION,
        JOURNAL_CUT,
        GAP,
        GAP_FIRST,
        GAP_CAUSE,
    ];

    /// What stands in front of an attribute of the app's own that is called like one of the agent's.
    pub const OF_APP: &str = "app.";

    /// Whether only the agent gives attributes of this name. Those of `syslog.`, `journal.` and `code.`
    /// are what a program says of itself.
    #[must_use]
    pub fn is_agents(name: &str) -> bool {
        [STREAM, PART, LAST_PART, BYTES_HEX, GAP].contains(&name)
            || ["exception.", "crash.", "gap."].iter().any(|start| name.starts_with(start))
    }
}
