//! What of the logs is wanted: a query, understood.
//!
//! Invariant: pure; what it costs to judge a record is bounded by the record's length, whatever the
//! pattern (the crate regex never goes back).

use manifest_spec::api::LogQuery;
use manifest_spec::filter::Filter;
use manifest_spec::log::{Severity, attribute};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::when;
use crate::logs::segment::{Entry, InstanceLog};
use crate::logs::shape::Stream;

/// Most memory that a pattern may take up, in bytes: a long one, not a bomb.
const PATTERN: usize = 1 << 20;

/// A query, understood.
#[derive(Debug)]
pub struct Selection {
    app: Option<String>,
    service: Option<String>,
    instance: Option<u32>,
    version: Option<u64>,
    since: Option<u64>,
    until: Option<u64>,
    level: Option<Severity>,
    stream: Option<Stream>,
    pattern: Option<Regex>,
    filters: Vec<Filter>,
    traces: bool,
}

/// What of a query can't be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectionError {
    /// A time: the parameter, and what it says.
    Time(&'static str, String),
    /// No severity has this name.
    Level(String),
    /// No stream has this name.
    Stream(String),
    /// It is no regular expression: what is wrong with it.
    Pattern(String),
    /// It is no filter: what it says, and what is wrong with it.
    Filter(String, String),
}

impl std::fmt::Display for SelectionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SelectionError::Time(name, text) => {
                write!(f, "{name} {text:?} is no time in RFC 3339, as 2026-11-27T14:30:00Z is")
            }
            SelectionError::Level(name) => {
                write!(f, "{name:?} is no level: trace, debug, info, warn, error, fatal")
            }
            SelectionError::Stream(name) => {
                let names = Stream::ALL.map(Stream::name).join(", ");
                write!(f, "{name:?} is no stream: {names}")
            }
            SelectionError::Pattern(why) => write!(f, "the regular expression: {why}"),
            SelectionError::Filter(text, why) => write!(f, "the filter {text:?}: {why}"),
        }
    }
}

impl std::error::Error for SelectionError {}

impl Selection {
    /// Understand a query.
    ///
    /// # Errors
    /// The first thing in it that can't be understood.
    pub fn new(query: &LogQuery) -> Result<Selection, SelectionError> {
        let time = |name, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => when::recorded(text)
                .map(Some)
                .ok_or_else(|| SelectionError::Time(name, text.clone())),
        };
        let level = match &query.level {
            None => None,
            Some(name) => Some(Severity::named(name).ok_or(SelectionError::Level(name.clone()))?),
        };
        let stream = match &query.stream {
            None => None,
            Some(name) => Some(Stream::named(name).ok_or(SelectionError::Stream(name.clone()))?),
        };
        let filters = query.filters.iter().map(|text| {
            Filter::parse(text).map_err(|why| SelectionError::Filter(text.clone(), why.to_string()))
        });
        Ok(Selection {
            app: query.app.clone(),
            service: query.service.clone(),
            instance: query.instance,
            version: query.version,
            since: time("since", &query.since)?,
            until: time("until", &query.until)?,
            level,
            stream,
            pattern: query.grep.as_deref().map(pattern).transpose()?,
            filters: filters.collect::<Result<_, _>>()?,
            traces: query.traces,
        })
    }

    /// The one app that it is about.
    pub fn app(&self) -> Option<&str> {
        self.app.as_deref()
    }

    /// When what passes ends.
    pub fn until(&self) -> Option<u64> {
        self.until
    }

    /// Whether only stack traces and crashes pass.
    pub fn is_of_traces(&self) -> bool {
        self.traces
    }

    /// Whether all records of a log pass that passes itself.
    pub fn takes_every_record(&self) -> bool {
        let Selection { version, since, until, level, stream, pattern, filters, traces, .. } = self;
        version.is_none()
            && since.is_none()
            && until.is_none()
            && level.is_none()
            && stream.is_none()
            && pattern.is_none()
            && filters.is_empty()
            && !traces
    }

    /// Whether records of this log can pass.
    pub fn takes_log(&self, log: &InstanceLog) -> bool {
        self.app.as_ref().is_none_or(|app| *app == log.app)
            && self.service.as_ref().is_none_or(|service| *service == log.service)
            && self.instance.is_none_or(|instance| instance == log.instance)
    }

    /// Whether a record passes. What is cheap is looked at first.
    pub fn takes(&self, entry: &Entry) -> bool {
        let record = &entry.record;
        let time = || when::recorded(&record.ts).unwrap_or_default();
        self.version.is_none_or(|version| entry.resource.version == Some(version))
            && self.level.is_none_or(|level| record.severity >= level)
            && self.stream.is_none_or(|stream| {
                text(&record.attributes, attribute::STREAM) == Some(stream.name())
            })
            && (!self.traces || record.attributes.contains_key(attribute::EXCEPTION_FINGERPRINT))
            && self.since.is_none_or(|since| time() >= since)
            && self.until.is_none_or(|until| time() < until)
            && self.filters.iter().all(|filter| filter.matches(record, &entry.resource))
            && self.pattern.as_ref().is_none_or(|pattern| {
                let trace = text(&record.attributes, attribute::EXCEPTION_STACKTRACE);
                pattern.is_match(&record.body) || trace.is_some_and(|one| pattern.is_match(one))
            })
    }
}

fn text<'a>(attributes: &'a serde_json::Map<String, Value>, name: &str) -> Option<&'a str> {
    attributes.get(name).and_then(Value::as_str)
}

fn pattern(text: &str) -> Result<Regex, SelectionError> {
    RegexBuilder::new(text).size_limit(PATTERN).dfa_size_limit(PATTERN).build().map_err(|error| {
        // The crate draws a picture of several lines; its last says it.
        let said = error.to_string();
        let last = said.lines().last().unwrap_or_default();
        SelectionError::Pattern(last.trim_start_matches("error: ").to_owned())
    })
}
