//! A manifest typed as flags: the same manifest, written down.

use std::io::Write;
use std::path::Path;

use manifest_spec::command::Command;

use crate::cli::FlagArguments;
use crate::commands::quoted;
use agent::failure::Error;

/// The first flag that describes an app, if any was used.
pub fn used(flags: &FlagArguments) -> Option<&'static str> {
    let list = [
        (flags.name.is_some(), "--name"),
        (flags.port.is_some(), "--port"),
        (!flags.read.is_empty(), "--read"),
        (!flags.write.is_empty(), "--write"),
        (!flags.connect.is_empty(), "--connect"),
        (flags.base.is_some(), "--base"),
        (flags.network.is_some(), "--network"),
        (!flags.env.is_empty(), "--env"),
        (flags.memory.is_some(), "--memory"),
        (!flags.command.is_empty(), "a command after --"),
    ];
    list.into_iter().find(|(used, _)| *used).map(|(_, name)| name)
}

/// The manifest as text, which is what `--save` writes and what runs.
pub fn manifest(flags: &FlagArguments) -> Result<String, Error> {
    let usage = |message: &str, hint: &str| Error::Usage(message.into(), hint.into());
    if flags.command.is_empty() {
        return Err(usage(
            "there is no program",
            "add it after --, as in -- python3 -m http.server",
        ));
    }
    let default = flags.command[0].rsplit('/').next().unwrap_or_default().to_owned();
    let name = flags.name.as_ref().unwrap_or(&default);
    let command = Command::from_words(flags.command.clone())
        .map_err(|error| usage(&format!("the command: {error}"), "leave out the NUL"))?;
    let mut text = format!("name = {}\nrun = {}\n", quoted(name), quoted(&command.to_string()));
    if let Some(port) = flags.port {
        text.push_str(&format!("port = {port}\n"));
    }
    let mut access = String::new();
    for (key, value) in [("base", &flags.base), ("network", &flags.network)] {
        access.extend(value.iter().map(|value| format!("{key} = {}\n", quoted(value))));
    }
    for (key, values) in
        [("read", &flags.read), ("write", &flags.write), ("connect", &flags.connect)]
    {
        // Typed by hand, nothing is granted that was not typed: `read` is always written.
        if key == "read" || !values.is_empty() {
            let items: Vec<_> = values.iter().map(|value| quoted(value)).collect();
            access.push_str(&format!("{key} = [{}]\n", items.join(", ")));
        }
    }
    text.push_str(&format!("\n[access]\n{access}"));
    if let Some(memory) = &flags.memory {
        text.push_str(&format!("\n[limits]\nmemory = {}\n", quoted(memory)));
    }
    if !flags.env.is_empty() {
        text.push_str("\n[env]\n");
    }
    for pair in &flags.env {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            usage(&format!("--env {pair}: there is no ="), "write --env NAME=VALUE")
        })?;
        text.push_str(&format!("{} = {}\n", quoted(name), quoted(value)));
    }
    Ok(text)
}

/// Write the manifest, unless a file is there already.
pub fn save(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |error| Error::Write(path.to_owned(), error);
    let mut file = match std::fs::File::create_new(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Error::Exists(path.to_owned(), "name another file, or remove it first"));
        }
        file => file.map_err(failed)?,
    };
    file.write_all(text.as_bytes()).map_err(failed)
}
