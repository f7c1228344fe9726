//! What a line of JSON or logfmt says, by the names that log libraries use.
//!
//! Owns which member is the severity, the body, a trace's or span's id, a stack trace; all others are
//! attributes, nested ones as they are. Invariant: nothing is lost of what was written, or the line
//! stays text; a program can't give attributes that the agent gives ([`attribute::is_agents`]): its own
//! of such names stand behind [`attribute::OF_APP`].

mod json;
mod pairs;
#[cfg(test)]
mod tests;

use manifest_spec::log::{Severity, attribute};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use self::json::Members;
use super::level;
use super::trace::Exception;

/// How a line may have to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Pairs,
}

impl Form {
    /// By a line's ends; most lines are neither.
    pub(super) fn likely(line: &[u8]) -> Option<Form> {
        match line.first()? {
            b'{' => line.trim_ascii_end().ends_with(b"}").then_some(Form::Json),
            byte if byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'@') => {
                pairs::is_likely(line).then_some(Form::Pairs)
            }
            _ => None,
        }
    }
}

/// What a structured line says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Fields {
    pub(super) severity: Option<Severity>,
    /// `None` for a line without a message: it is its own.
    pub(super) body: Option<String>,
    pub(super) attributes: Map<String, Value>,
    pub(super) trace_id: Option<[u8; 16]>,
    pub(super) span_id: Option<[u8; 8]>,
}

impl Fields {
    /// Those of a line.
    pub(super) fn read(form: Form, text: &str) -> Option<Fields> {
        let members = match form {
            Form::Json => json::object(text)?,
            Form::Pairs => pairs::read(text.trim_end())?,
        };
        (!members.is_empty()).then(|| Fields::of(members))
    }

    fn of(mut members: Members) -> Fields {
        let attributes = Map::with_capacity(members.len());
        let mut fields = Fields { attributes, ..Fields::default() };
        let mut chosen = [None::<(usize, usize)>; ROLES];
        for (place, (name, value)) in members.iter().enumerate() {
            let Some((role, rank)) = Role::of(name) else { continue };
            let best = &mut chosen[role as usize];
            if role.can_be(name, value) && best.is_none_or(|(other, _)| rank < other) {
                *best = Some((rank, place));
            }
        }
        let exception = chosen[Role::Stack as usize]
            .and_then(|(_, place)| Exception::take_from(&mut members.get_mut(place)?.1));
        for (place, (name, value)) in members.into_iter().enumerate() {
            let is = |role: Role| chosen[role as usize].is_some_and(|(_, at)| at == place);
            let value = match value {
                value if is(Role::Level) => match fields.take_level(value) {
                    Some(value) => value,
                    None => continue,
                },
                Value::String(text) if is(Role::Body) => {
                    fields.body = Some(text);
                    continue;
                }
                Value::String(text)
                    if is(Role::TraceId) || is(Role::SpanId) || is(Role::Parent) =>
                {
                    match fields.take_id(&text) {
                        true => continue,
                        false => Value::String(text),
                    }
                }
                // What is left of a member whose stack trace was taken out.
                Value::Null if is(Role::Stack) && exception.is_some() => continue,
                value => value,
            };
            fields.add(name, value);
        }
        if let Some((exception, stack)) = exception {
            fields.severity = fields.severity.or(Some(exception.severity()));
            exception.describe(stack, &mut fields.attributes);
        }
        fields
    }

    /// Give an attribute of the app's a name that is free, and not one of the agent's.
    pub(super) fn add(&mut self, mut name: String, value: Value) {
        // One inside would be found under the same dotted name.
        let is_forged = |name: &str| {
            attribute::is_agents(name)
                || value.is_object() && attribute::is_agents(&format!("{name}."))
        };
        while is_forged(&name) {
            name.insert_str(0, attribute::OF_APP);
        }
        loop {
            match self.attributes.entry(name) {
                Entry::Vacant(free) => {
                    free.insert(value);
                    return;
                }
                Entry::Occupied(taken) => name = format!("{}{}", attribute::OF_APP, taken.key()),
            }
        }
    }

    /// Take the severity; what says more than that is given back.
    fn take_level(&mut self, value: Value) -> Option<Value> {
        let value = match value {
            Value::Object(mut inner) => {
                let level = inner.shift_remove("level")?;
                if let Some(more) = self.take_level(level) {
                    inner.insert("level".to_owned(), more);
                }
                return (!inner.is_empty()).then_some(Value::Object(inner));
            }
            value => value,
        };
        self.severity = level_of(&value);
        let says_it_all = match (&value, self.severity) {
            (_, None) => false,
            (Value::Number(number), _) => {
                number.as_u64().is_some_and(|number| number >= 10 && number % 10 == 0)
            }
            (Value::String(word), Some(severity)) => {
                let own = [severity.as_str(), "warning", "err"];
                own.iter().any(|own| own.eq_ignore_ascii_case(word))
            }
            _ => false,
        };
        (!says_it_all).then_some(value)
    }

    /// Take an id; whether it says no more than that.
    fn take_id(&mut self, text: &str) -> bool {
        match text.len() {
            32 => self.trace_id = bytes(text),
            16 => self.span_id = bytes(text),
            // W3C Trace Context: the rest are flags.
            _ => {
                let parts: Vec<&str> = text.split('-').collect();
                if let [_, trace, span, _, ..] = parts[..] {
                    self.trace_id = self.trace_id.or(bytes(trace));
                    self.span_id = self.span_id.or(bytes(span));
                }
                return false;
            }
        }
        true
    }
}

fn level_of(value: &Value) -> Option<Severity> {
    match value {
        Value::String(word) => match word.parse() {
            Ok(number) => level::of_number(number),
            Err(_) => Severity::named(word.trim()),
        },
        Value::Number(number) => level::of_number(number.as_u64()?),
        _ => None,
    }
}

/// An id's bytes; zeros are none (W3C Trace Context).
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut id = [0; N];
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for (byte, pair) in id.iter_mut().zip(digits.chunks(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    id.iter().any(|byte| *byte != 0).then_some(id)
}

/// What a member can be besides an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Level,
    Body,
    TraceId,
    SpanId,
    Parent,
    Stack,
}

const ROLES: usize = 6;

/// The names for each, in upper or lower case; the first of those that are there is taken.
const NAMES: [(&str, Role); 30] = [
    ("level", Role::Level),
    ("severity", Role::Level),
    ("lvl", Role::Level),
    ("log.level", Role::Level),
    ("levelname", Role::Level),
    ("loglevel", Role::Level),
    ("log", Role::Level),
    ("msg", Role::Body),
    ("message", Role::Body),
    ("body", Role::Body),
    // structlog's.
    ("event", Role::Body),
    ("trace_id", Role::TraceId),
    ("traceid", Role::TraceId),
    ("trace.id", Role::TraceId),
    ("span_id", Role::SpanId),
    ("spanid", Role::SpanId),
    ("span.id", Role::SpanId),
    ("traceparent", Role::Parent),
    ("exception.stacktrace", Role::Stack),
    ("exception", Role::Stack),
    ("stack", Role::Stack),
    ("stack_trace", Role::Stack),
    ("stacktrace", Role::Stack),
    ("exc_info", Role::Stack),
    ("error.stack", Role::Stack),
    ("error.stack_trace", Role::Stack),
    ("err.stack", Role::Stack),
    ("err", Role::Stack),
    ("error", Role::Stack),
    ("traceback", Role::Stack),
];

impl Role {
    /// Which a name stands for, and how far behind others.
    fn of(name: &str) -> Option<(Role, usize)> {
        // The longest of them; most names are something else.
        if name.len() > "exception.stacktrace".len() {
            return None;
        }
        let found = NAMES.iter().position(|(own, _)| own.eq_ignore_ascii_case(name))?;
        Some((NAMES[found].1, found))
    }

    fn can_be(self, name: &str, value: &Value) -> bool {
        match self {
            // `log.level` of ECS, nested: a string called `log` is none.
            Role::Level if name.eq_ignore_ascii_case("log") => {
                value.get("level").is_some_and(|level| level_of(level).is_some())
            }
            Role::Level => level_of(value).is_some(),
            Role::Body => value.is_string(),
            Role::TraceId => value.as_str().and_then(bytes::<16>).is_some(),
            Role::SpanId => value.as_str().and_then(bytes::<8>).is_some(),
            Role::Parent => value.as_str().is_some_and(is_parent),
            Role::Stack => Exception::is_in(value),
        }
    }
}

/// `00-TRACE-SPAN-01` (W3C Trace Context, level 1).
fn is_parent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags, rest @ ..] = &parts[..] else { return false };
    let is_byte = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_byte(version)
        && *version != "ff"
        && is_byte(flags)
        && bytes::<16>(trace).is_some()
        && bytes::<8>(span).is_some()
        && (rest.is_empty() || *version != "00")
}
