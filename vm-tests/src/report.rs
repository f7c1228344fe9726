//! What the guest says while it works, a line each, and what that amounts to.
//!
//! Pure. Invariant: a scenario has passed only if the guest said so, in words.

/// A line of the guest's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// `boot KERNEL SECONDS`: it is up, with this kernel, after so many seconds of its own time.
    Boot(String),
    /// `begin NAME`: a scenario starts.
    Begin(String),
    /// `note TEXT`: something worth reading even if all goes well.
    Note(String),
    /// `said TEXT`: a scenario's output.
    Said(String),
    /// `end CODE`: the scenario ended with this exit code.
    End(i32),
    /// `over`: all scenarios were run.
    Over,
}

impl Line {
    /// Take a line in; `None` if it is none of these.
    pub fn parse(text: &str) -> Option<Line> {
        let text = text.trim_end_matches(['\r', '\n']);
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.to_owned();
        match word {
            "boot" => Some(Line::Boot(rest)),
            "begin" => Some(Line::Begin(rest)),
            "note" => Some(Line::Note(rest)),
            "said" => Some(Line::Said(rest)),
            "end" => rest.parse().ok().map(Line::End),
            "over" => Some(Line::Over),
            _ => None,
        }
    }
}

/// A scenario that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its name.
    pub name: String,
    /// Its exit code.
    pub code: i32,
    /// What it said.
    pub output: Vec<String>,
}

/// What the guest has said so far.
#[derive(Debug, Default)]
pub struct Report {
    running: Option<Ended>,
    passed: Vec<String>,
    over: bool,
}

impl Report {
    /// Take a line in; the scenario that ended by it.
    pub fn hear(&mut self, line: Line) -> Option<Ended> {
        match line {
            Line::Begin(name) => self.running = Some(Ended { name, code: -1, output: Vec::new() }),
            Line::Said(text) => self.running.as_mut()?.output.push(text),
            Line::End(code) => {
                let ended = Ended { code, ..self.running.take()? };
                if code == 0 {
                    self.passed.push(ended.name.clone());
                }
                return Some(ended);
            }
            Line::Over => self.over = true,
            Line::Boot(_) | Line::Note(_) => {}
        }
        None
    }

    /// Whether the guest has said that it is done.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The scenario in the middle of which the guest fell silent.
    pub fn unfinished(&self) -> Option<&Ended> {
        self.running.as_ref()
    }

    /// Those of the wanted scenarios that have not passed.
    pub fn missing(&self, wanted: &[String]) -> Vec<String> {
        wanted.iter().filter(|name| !self.passed.contains(name)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(text: &str) -> (Report, Vec<Ended>) {
        let mut report = Report::default();
        let ended = text.lines().filter_map(Line::parse).filter_map(|line| report.hear(line));
        let ended = ended.collect();
        (report, ended)
    }

    #[test]
    fn a_scenario_passes_by_its_word_alone() {
        let wanted = ["a", "b", "c"].map(String::from);
        let (report, ended) = hear("begin a\nsaid x y\nend 0\nbegin b\nend 1\nbegin c\nsaid z\n");
        assert_eq!(report.missing(&wanted), ["b", "c"]);
        assert_eq!(ended[0], Ended { name: "a".into(), code: 0, output: vec!["x y".into()] });
        assert_eq!(ended[1].code, 1);
        assert_eq!(report.unfinished().unwrap().output, ["z"]);
        assert!(!report.is_over());
    }

    #[test]
    fn a_scenario_that_reboots_goes_on_after_it() {
        let (report, ended) = hear("boot 6.1\nbegin a\nsaid 1\nboot 6.1\nsaid 2\nend 0\nover\n");
        assert_eq!(ended[0].output, ["1", "2"]);
        assert!(report.is_over() && report.unfinished().is_none());
    }

    #[test]
    fn other_lines_say_nothing() {
        assert_eq!(Line::parse("end"), None);
        assert_eq!(Line::parse("endless 0"), None);
        assert_eq!(Line::parse("said  indented\r\n"), Some(Line::Said(" indented".into())));
    }
}
