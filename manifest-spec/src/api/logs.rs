//! The logs of apps, read through hostd: a question as a query, the answer as lines of records.
//!
//! Invariant: what [`LogQuery::encode`] writes, [`LogQuery::read`] reads back as the same question;
//! a parameter that is not known is refused, since an answer without it would hold too much. Times
//! are RFC 3339 in UTC, as records have them: what "today" is, the asker's clock says.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::log::{LogRecord, Resource, Severity};

/// The header of an answer that says how many instances' logs it is from.
pub const INSTANCES: &str = "hostctl-instances";

/// Most records that [`LogQuery::last`] can ask for.
pub const LAST: u64 = 100_000;

/// One record, with what it belongs to: a line of the answer.
///
/// A record that stands for others that are lost, deleted or damaged has `gap`, `gap.first` and
/// `gap.cause` among its attributes, whether it was written so or is said by who reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Version of the format of records.
    pub v: u32,
    /// The app, `hello+3` with a port offset.
    pub app: String,
    /// The service within the app.
    pub service: String,
    /// The instance within the service.
    pub instance: u32,
    /// The app's version, where it was deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Name of the host.
    pub host: String,
    /// The boot of the host in which it ran.
    pub boot_id: String,
    /// When this start of the instance was.
    pub started: String,
    /// Its number within the instance: the order.
    pub seq: u64,
    /// When it was written.
    pub ts: String,
    /// How bad it is.
    pub severity: Severity,
    /// The line, or the message of a structured one.
    pub body: String,
    /// Parsed fields, and what is said about the line itself.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// 32 hexadecimal digits (W3C Trace Context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// 16 hexadecimal digits (W3C Trace Context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
}

impl LogLine {
    /// A record of this resource.
    #[must_use]
    pub fn new(resource: &Resource, record: LogRecord) -> Self {
        let Resource { app, service, instance, version, host, boot_id, started } = resource.clone();
        let LogRecord { v, seq, ts, severity, body, attributes, trace_id, span_id, .. } = record;
        Self {
            v,
            app,
            service,
            instance,
            version,
            host,
            boot_id,
            started,
            seq,
            ts,
            severity,
            body,
            attributes,
            trace_id,
            span_id,
        }
    }
}

/// What is wanted of the logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Only of this app.
    pub app: Option<String>,
    /// Only of this service.
    pub service: Option<String>,
    /// Only of the instances of this number.
    pub instance: Option<u32>,
    /// Only of this version.
    pub version: Option<u64>,
    /// Not before this time.
    pub since: Option<String>,
    /// Before this time.
    pub until: Option<String>,
    /// At least as bad.
    pub level: Option<String>,
    /// Only what came by this stream.
    pub stream: Option<String>,
    /// Only what has this regular expression in it.
    pub grep: Option<String>,
    /// Only what passes each of these filters.
    pub filters: Vec<String>,
    /// The last so many of all that; what follows is beside them.
    pub last: Option<u64>,
    /// Only stack traces and crashes.
    pub traces: bool,
    /// Go on with what is written from now on.
    pub follow: bool,
}

/// Every parameter of a query, in the order in which they are written.
pub const PARAMETERS: [&str; 13] = [
    "app", "service", "instance", "version", "since", "until", "level", "stream", "grep", "where",
    "last", "traces", "follow",
];

impl LogQuery {
    /// As the query of a URL (RFC 3986, section 3.4).
    #[must_use]
    pub fn encode(&self) -> String {
        let number = |one: Option<u64>| one.map(|number| number.to_string());
        let switch = |on: bool| on.then(|| "true".to_owned());
        let mut pairs: Vec<(&str, Option<String>)> = vec![
            ("app", self.app.clone()),
            ("service", self.service.clone()),
            ("instance", number(self.instance.map(u64::from))),
            ("version", number(self.version)),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("level", self.level.clone()),
            ("stream", self.stream.clone()),
            ("grep", self.grep.clone()),
        ];
        pairs.extend(self.filters.iter().map(|filter| ("where", Some(filter.clone()))));
        pairs.extend([
            ("last", number(self.last)),
            ("traces", switch(self.traces)),
            ("follow", switch(self.follow)),
        ]);
        let pair =
            |(name, value): (&str, Option<String>)| Some(format!("{name}={}", plain(&value?)));
        pairs.into_iter().filter_map(pair).collect::<Vec<_>>().join("&")
    }

    /// From the query of a URL.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn read(query: &str) -> Result<Self, String> {
        let mut read = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = text(value).ok_or_else(|| format!("{name} is not UTF-8"))?;
            read.put(name, value)?;
        }
        Ok(read)
    }

    fn put(&mut self, name: &str, value: String) -> Result<(), String> {
        let number = |most: u64| match value.parse() {
            Ok(number) if number <= most => Ok(number),
            _ => Err(format!("{name} is a number up to {most}, not {value:?}")),
        };
        let switch = || match value.as_str() {
            "" | "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("{name} is true or false, not {value:?}")),
        };
        match name {
            "instance" => {
                self.instance = Some(number(u64::from(u32::MAX)).map(|one| one as u32)?);
            }
            "version" => self.version = Some(number(u64::MAX)?),
            "last" => self.last = Some(number(LAST)?),
            "traces" => self.traces = switch()?,
            "follow" => self.follow = switch()?,
            "app" => self.app = Some(value),
            "service" => self.service = Some(value),
            "since" => self.since = Some(value),
            "until" => self.until = Some(value),
            "level" => self.level = Some(value),
            "stream" => self.stream = Some(value),
            "grep" => self.grep = Some(value),
            "where" => self.filters.push(value),
            _ => return Err(format!("there is no parameter {name:?}")),
        }
        Ok(())
    }
}

/// Percent-encoded, all but what never needs it (RFC 3986, section 2.3).
fn plain(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Percent-encoding undone; `+` is itself, as in an app's name. `None` if that is no text.
fn text(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        let pair = pair.and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> LogQuery {
        LogQuery {
            app: Some("hello+3".into()),
            service: Some("web".into()),
            instance: Some(2),
            version: Some(7),
            since: Some("2026-11-27T09:00:00Z".into()),
            until: Some("2026-11-27T10:00:00Z".into()),
            level: Some("warn".into()),
            stream: Some("stderr".into()),
            grep: Some("a&b=c d%20é\\n#?".into()),
            filters: vec!["status>=500".into(), "user!=a b".into()],
            last: Some(100),
            traces: true,
            follow: true,
        }
    }

    #[test]
    fn a_question_is_read_back_as_it_was_asked() {
        for query in [full(), LogQuery::default()] {
            let text = query.encode();
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
            assert_eq!(LogQuery::read(&text).expect("its own"), query);
        }
        let names: Vec<String> = full()
            .encode()
            .split('&')
            .map(|pair| pair.split('=').next().unwrap_or_default().to_owned())
            .collect();
        let mut once = names.clone();
        once.dedup();
        assert_eq!(once, PARAMETERS, "every parameter");
        assert_eq!(LogQuery::read("app=hello+3&follow").expect("by hand").app, full().app);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (query, part) in [
            ("sinse=1", "no parameter \"sinse\""),
            ("last=-1", "last is a number"),
            ("last=100001", "up to 100000"),
            ("instance=4294967296", "instance is a number"),
            ("follow=yes", "follow is true or false"),
            ("grep=%FF", "grep is not UTF-8"),
        ] {
            let error = LogQuery::read(query).expect_err(query);
            assert!(error.contains(part), "{query}: {error}");
        }
    }
}
