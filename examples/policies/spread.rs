//! Every zone gets the same part of all connections, however many backends it has; within a zone
//! they go by weight.
//!
//! ```text
//! rustc -O -o spread spread.rs
//!
//! [policies.spread]
//! run = "./spread"
//! ```
//!
//! JSON is read by hand, so that one file and rustc(1) are enough. With cargo, take serde_json.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

/// A value of JSON; numbers are kept as they are written.
#[derive(Debug, Clone, PartialEq)]
enum Json {
    Plain(String),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

/// What is left of a line.
struct Reader<'a>(std::iter::Peekable<std::str::Chars<'a>>);

impl Reader<'_> {
    fn value(&mut self) -> Option<Json> {
        self.blank();
        match *self.0.peek()? {
            '"' => self.text().map(Json::Text),
            '[' => {
                let mut all = Vec::new();
                while self.goes_on('[', ']')? {
                    all.push(self.value()?);
                }
                Some(Json::List(all))
            }
            '{' => {
                let mut all = BTreeMap::new();
                while self.goes_on('{', '}')? {
                    let name = self.text()?;
                    self.blank();
                    self.0.next_if_eq(&':')?;
                    all.insert(name, self.value()?);
                }
                Some(Json::Object(all))
            }
            _ => {
                let mut word = String::new();
                while let Some(c) = self.0.next_if(|c| c.is_ascii_alphanumeric() || "+-.".contains(*c)) {
                    word.push(c);
                }
                (!word.is_empty()).then_some(Json::Plain(word))
            }
        }
    }

    /// Whether another element comes: behind the beginning, or a comma, and before the end.
    fn goes_on(&mut self, begin: char, end: char) -> Option<bool> {
        self.blank();
        if self.0.next_if_eq(&end).is_some() {
            return Some(false);
        }
        self.0.next_if(|c| *c == begin || *c == ',')?;
        self.blank();
        Some(self.0.next_if_eq(&end).is_none())
    }

    fn text(&mut self) -> Option<String> {
        self.0.next_if_eq(&'"')?;
        let mut text = String::new();
        loop {
            match self.0.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                c => text.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.0.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let first = self.unit()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first);
                }
                // The other half of a pair follows (RFC 8259, section 7).
                (self.0.next(), self.0.next());
                char::from_u32(0x10000 + ((first - 0xd800) << 10) + self.unit()?.checked_sub(0xdc00)?)?
            }
            c => c,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |unit, _| Some(unit * 16 + self.0.next()?.to_digit(16)?))
    }

    fn blank(&mut self) {
        while self.0.next_if(|c| c.is_whitespace()).is_some() {}
    }
}

impl Json {
    fn get(&self, name: &str) -> Option<&Json> {
        let Json::Object(all) = self else { return None };
        all.get(name)
    }

    fn text(&self) -> Option<&str> {
        let (Json::Plain(text) | Json::Text(text)) = self else { return None };
        Some(text)
    }

    fn is(&self, name: &str) -> bool {
        self.get(name) == Some(&Json::Plain("true".to_owned()))
    }
}

/// A string as JSON writes it.
fn quoted(text: &str) -> String {
    let one = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", c as u32),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(one).collect::<String>())
}

/// The answer to a question.
fn answer(line: &str) -> Option<String> {
    let question = Reader(line.chars().peekable()).value()?;
    let Some(Json::List(backends)) = question.get("backends") else { return None };
    let mut zones: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
    for backend in backends.iter().filter(|one| one.is("healthy") && !one.is("draining")) {
        let zone = backend.get("labels").and_then(|labels| labels.get("zone")?.text());
        let weight = backend.get("weight")?.text()?.parse().ok()?;
        zones.entry(zone.unwrap_or_default()).or_default().push((backend.get("id")?.text()?, weight));
    }
    let mut weights = Vec::new();
    for zone in zones.values() {
        let whole: f64 = zone.iter().map(|(_, weight)| weight).sum();
        for (id, weight) in zone {
            // Nobody is rounded away.
            let part = (1000.0 * weight / whole).round().max(1.0);
            weights.push(format!("{}:{part}", quoted(id)));
        }
    }
    let id = question.get("id")?.text()?;
    Some(format!("{{\"id\":{id},\"weights\":{{{}}}}}", weights.join(",")))
}

fn main() -> io::Result<()> {
    let mut out = io::stdout();
    for line in io::stdin().lock().lines() {
        match answer(&line?) {
            Some(answer) => writeln!(out, "{answer}")?,
            None => eprintln!("spread: a line that is no question"),
        }
        // hostd reads it now, not when a buffer is full.
        out.flush()?;
    }
    Ok(())
}
