//! From what was found to the text of a manifest.
//!
//! Invariant: one comment that says what it was made from, one line for each thing that differs
//! from a default, nothing else.

use super::detect::{Found, PORT, Program};
use crate::commands::quoted;

/// The manifest.
pub(super) fn manifest(name: &str, found: &Found) -> String {
    let mut text = format!("# made by hostctl init from {}\n", one_line(&found.source));
    match found.programs.as_slice() {
        [program] => {
            text.push_str(&format!("name = {}\nrun  = {}\n", quoted(name), run(program)));
            text.extend(program.port.iter().map(|port| format!("port = {port}\n")));
        }
        programs => {
            let width = programs.iter().map(|program| program.name.len()).max().unwrap_or(0);
            text.push_str(&format!("name = {}\n\n[services]\n", quoted(name)));
            text.extend(programs.iter().map(|program| {
                let port = program.port.map(|port| format!(", port = {port}"));
                let (run, port) = (run(program), port.unwrap_or_default());
                format!("{:width$} = {{ run = {run}{port} }}\n", program.name)
            }));
        }
    }
    text
}

/// Three lines to start from where nothing was found.
pub(super) fn example(name: &str) -> String {
    format!("name = {}\nrun  = \"./server --listen 127.0.0.1:$PORT\"\nport = {PORT}", quoted(name))
}

/// The value of `run`: words, or a script for a shell, in which every dollar is the shell's.
fn run(program: &Program) -> String {
    if !program.needs_shell() {
        return quoted(&program.run);
    }
    format!("[\"sh\", \"-c\", {}]", quoted(&program.run.replace('$', "$$")))
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_shell_reads_goes_to_a_shell() {
        let run_of =
            |text: &str, port| run(&Program { name: "web".into(), run: text.into(), port });
        assert_eq!(run_of("puma -p $PORT", Some(1)), r#""puma -p $PORT""#);
        assert_eq!(run_of("puma -p $PORT", None), r#"["sh", "-c", "puma -p $$PORT"]"#);
        assert_eq!(run_of("A=1 x \"y\"", None), r#"["sh", "-c", "A=1 x \"y\""]"#);
        assert_eq!(run_of("x ${PORT:-1} 2>&1", Some(1)), r#"["sh", "-c", "x $${PORT:-1} 2>&1"]"#);
    }
}
