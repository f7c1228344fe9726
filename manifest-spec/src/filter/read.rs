//! From text to a filter.

use super::{Expression, Field, FilterError, Number, Operand, Operator};
use crate::error::quoted;
use crate::limits;
use crate::log::{Severity, attribute};
use crate::suggest::{did_you_mean, nearest};

/// Fields that every record or what it belongs to has a place for, each once under its own name.
static FIELDS: [(&str, Field); 12] = [
    ("level", Field::Level),
    ("severity", Field::Level),
    ("body", Field::Body),
    ("seq", Field::Seq),
    ("trace_id", Field::TraceId),
    ("span_id", Field::SpanId),
    ("app", Field::App),
    ("service", Field::Service),
    ("instance", Field::Instance),
    ("version", Field::Version),
    ("host", Field::Host),
    (attribute::STREAM, Field::Attribute(String::new())),
];

/// What other formats call them: hostctl moves these into the fields of its own.
const FOREIGN: [(&str, &str); 9] = [
    ("msg", "body"),
    ("message", "body"),
    ("lvl", "level"),
    ("log.level", "level"),
    ("loglevel", "level"),
    ("traceId", "trace_id"),
    ("spanId", "span_id"),
    ("hostname", "host"),
    ("container", "service"),
];

/// In front of a name that is an attribute's although a field is called so.
const ATTRIBUTES: &str = "attributes.";

const STREAMS: [&str; 5] = ["stdout", "stderr", "syslog", "journal", "agent"];

const EXAMPLE: &str = "write a field, a comparison and a value: \"level>=warn\"";

pub(super) fn read(text: &str) -> Result<Expression, FilterError> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    if let Some(at) = text.find(char::is_control) {
        return Err(error(at, "a filter is one line without control characters"));
    }
    let root = reader.any()?;
    match reader.rest() {
        "" => Ok(root),
        rest if rest.starts_with(')') => Err(error(reader.at, "there is no ( for this )")),
        rest => {
            let word = rest.split_whitespace().next().unwrap_or_default();
            let hint = "join comparisons with and or or; put a value with blanks into quotes";
            Err(error(reader.at, format!("expected and or or, found {}", quoted(word))).hint(hint))
        }
    }
}

fn error(at: usize, message: impl Into<String>) -> FilterError {
    FilterError { message: message.into(), at, hint: None }
}

impl FilterError {
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// What follows, from the next thing that is no blank.
    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    /// Takes a word that joins comparisons, if it is the next one.
    fn takes(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let follows = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && rest[word.len()..].chars().next().is_none_or(|c| c.is_whitespace() || c == '(');
        if follows {
            self.at += word.len();
        }
        follows
    }

    fn any(&mut self) -> Result<Expression, FilterError> {
        let mut parts = vec![self.all()?];
        while self.takes("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    fn all(&mut self) -> Result<Expression, FilterError> {
        let mut parts = vec![self.one()?];
        while self.takes("and") {
            parts.push(self.one()?);
        }
        Ok(one_or(parts, Expression::All))
    }

    fn one(&mut self) -> Result<Expression, FilterError> {
        self.depth += 1;
        if self.depth > limits::DEPTH {
            let message = format!("more than {} filters inside each other", limits::DEPTH);
            return Err(error(self.at, message));
        }
        let found = if self.takes("not") {
            Expression::Not(Box::new(self.one()?))
        } else if self.rest().starts_with('(') {
            let start = self.at;
            self.at += 1;
            let inner = self.any()?;
            if !self.rest().starts_with(')') {
                return Err(error(start, "this ( is not closed").hint("add )"));
            }
            self.at += 1;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(found)
    }

    fn comparison(&mut self) -> Result<Expression, FilterError> {
        let rest = self.rest();
        let start = self.at;
        let (name, is_quoted) = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => (self.quoted(quote)?, true),
            _ => {
                let stop = |c: char| c.is_whitespace() || "=!<>~()\"'".contains(c);
                let name = &rest[..rest.find(stop).unwrap_or(rest.len())];
                self.at += name.len();
                (name.to_owned(), false)
            }
        };
        if name.is_empty() {
            let message = match rest.chars().next() {
                None => "expected a comparison, found nothing".to_owned(),
                Some(found) => {
                    format!("expected a field's name, found {}", quoted(&found.to_string()))
                }
            };
            return Err(error(start, message).hint(EXAMPLE));
        }
        let operator = self.operator()?;
        let field = field(&name, is_quoted, start)?;
        let (value, value_at) = self.value()?;
        let operand = operand(&field, operator, value, value_at, start)?;
        Ok(Expression::Compare(field, operator, operand))
    }

    fn operator(&mut self) -> Result<Operator, FilterError> {
        let rest = self.rest();
        let length = rest.find(|c: char| !"=!<>~".contains(c)).unwrap_or(rest.len());
        let operator = match &rest[..length] {
            "=" => Operator::Equal,
            "!=" => Operator::Unequal,
            "<" => Operator::Less,
            "<=" => Operator::AtMost,
            ">" => Operator::Greater,
            ">=" => Operator::AtLeast,
            "~" => Operator::Contains,
            "" => {
                let message = match rest.split_whitespace().next() {
                    None => "the comparison is missing".to_owned(),
                    Some(word) => format!("expected a comparison, found {}", quoted(word)),
                };
                return Err(error(self.at, message).hint(EXAMPLE));
            }
            other => {
                let hint = match other {
                    "==" => "write = for \"equal\"",
                    "=~" => "write ~ for \"contains\"",
                    "<>" => "write != for \"not equal\"",
                    "!~" => "write not FIELD~VALUE",
                    "=>" => "write >=",
                    "=<" => "write <=",
                    _ => "the comparisons are = != < <= > >= ~",
                };
                let message = format!("{} is no comparison", quoted(other));
                return Err(error(self.at, message).hint(hint));
            }
        };
        self.at += length;
        Ok(operator)
    }

    fn value(&mut self) -> Result<(String, usize), FilterError> {
        let rest = self.rest();
        let start = self.at;
        if let Some(quote @ ('"' | '\'')) = rest.chars().next() {
            return Ok((self.quoted(quote)?, start));
        }
        let stop = |c: char| c.is_whitespace() || c == '(' || c == ')';
        let value = &rest[..rest.find(stop).unwrap_or(rest.len())];
        if value.is_empty() {
            return Err(error(start, "the value is missing").hint(EXAMPLE));
        }
        self.at += value.len();
        Ok((value.to_owned(), start))
    }

    /// A text in quotes, in which a backslash takes away what the next character means.
    fn quoted(&mut self, quote: char) -> Result<String, FilterError> {
        let start = self.at;
        let mut text = String::new();
        let mut characters = self.text[start + 1..].char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '\\' => text.extend(characters.next().map(|(_, c)| c)),
                c if c == quote => {
                    self.at = start + 1 + at + 1;
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        Err(error(start, format!("this {quote} is not closed")).hint(format!("add {quote}")))
    }
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match (parts.len(), parts.pop()) {
        (1, Some(one)) => one,
        (_, last) => {
            parts.extend(last);
            many(parts)
        }
    }
}

fn field(name: &str, is_quoted: bool, at: usize) -> Result<Field, FilterError> {
    let attribute = |name: &str| Ok(Field::Attribute(name.to_owned()));
    if is_quoted {
        return attribute(name);
    }
    if let Some(name) = name.strip_prefix(ATTRIBUTES) {
        return attribute(name);
    }
    match FIELDS.iter().find(|(own, _)| *own == name) {
        Some((_, Field::Attribute(_))) => return attribute(name),
        Some((_, field)) => return Ok(field.clone()),
        None => {}
    }
    let names = || FIELDS.iter().map(|(own, _)| *own);
    let foreign = FOREIGN.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours);
    // Any other word may be an attribute's name; only what looks like a slip of the finger is not
    // ("levl", but not "cost" for "host").
    let is_slip = |ours: &&str| name.len() > 3 && name.get(..1) == ours.get(..1);
    let near = nearest(name, names()).filter(is_slip).filter(|_| !name.contains('.'));
    match foreign.or(near) {
        Some(ours) => Err(error(at, format!("there is no field {}", quoted(name)))
            .hint(format!("write {ours}, or {ATTRIBUTES}{name} for an attribute of that name"))),
        None => attribute(name),
    }
}

fn operand(
    field: &Field,
    operator: Operator,
    text: String,
    at: usize,
    field_at: usize,
) -> Result<Operand, FilterError> {
    let number = Number::parse(&text);
    match field {
        Field::Level if operator == Operator::Contains => {
            Err(error(field_at, "a level contains nothing").hint("write level>=warn or level=warn"))
        }
        Field::Level => match Severity::named(&text) {
            Some(level) => Ok(Operand::Level(level)),
            None => {
                let hint =
                    did_you_mean(&text, Severity::ALL.map(Severity::as_str)).unwrap_or_else(|| {
                        "the levels are trace, debug, info, warn, error and fatal".to_owned()
                    });
                Err(error(at, format!("{} is no level", quoted(&text))).hint(hint))
            }
        },
        Field::Attribute(name) if name == attribute::STREAM => {
            let is_known = STREAMS.contains(&text.as_str());
            if matches!(operator, Operator::Equal | Operator::Unequal) && !is_known {
                let hint = did_you_mean(&text, STREAMS)
                    .unwrap_or_else(|| format!("the streams are {}", STREAMS.join(", ")));
                return Err(error(at, format!("{} is no stream", quoted(&text))).hint(hint));
            }
            Ok(Operand::Value { text, number })
        }
        Field::Seq | Field::Instance | Field::Version if number.is_none() => {
            Err(error(at, format!("expected a number, found {}", quoted(&text))))
        }
        _ => Ok(Operand::Value { text, number }),
    }
}
