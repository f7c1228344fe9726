//! `hostctl init`.

mod compiled;
mod detect;
mod folder;
mod name;
mod node;
mod procfile;
mod python;
mod served;
mod write;

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use agent::source::SourceError;
use manifest_spec::Document;

use crate::cli::InitArguments;
use crate::ui::Ui;
use agent::failure::Error;
use folder::Folder;

/// The manifest's file name, which every command looks for in a directory.
const FILE: &str = "app.toml";

pub fn init(arguments: &InitArguments, ui: &Ui) -> Result<ExitCode, Error> {
    let folder = Folder::open(&arguments.directory)?;
    let name = match &arguments.name {
        Some(name) => name::given(name)?,
        None => name::of_directory(folder.path()),
    };
    let found = detect::detect(&folder)
        .ok_or_else(|| Error::NothingFound(arguments.directory.clone(), write::example(&name)))?;
    let text = write::manifest(&name, &found);
    // What init writes, `check` accepts: if not, the reason is told here and nothing is written.
    let checked = Document::parse(FILE, &text).and_then(|document| document.manifest());
    checked.map_err(SourceError::from)?;
    for note in &found.notes {
        ui.say(note);
    }
    if arguments.print {
        ui.answer(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = arguments.directory.join(FILE);
    save(&path, &text)?;
    let shown = path.strip_prefix(".").unwrap_or(&path).display();
    ui.say(&format!("wrote {shown}, made from {}; next: hostctl run {shown}", found.source));
    Ok(ExitCode::SUCCESS)
}

fn save(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Error::Exists(path.to_owned(), "add --print to see what would be written")
        }
        _ => Error::Write(path.to_owned(), error),
    };
    let mut file = std::fs::File::create_new(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
