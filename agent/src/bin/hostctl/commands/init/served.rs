//! Apps that a server of the host serves: Ruby behind Puma, and plain files.

use super::detect::Found;
use super::folder::Folder;

/// Directories that hold a site's files, the app's own first.
const SITES: [&str; 4] = [".", "public", "dist", "_site"];

pub(super) fn ruby(folder: &Folder) -> Option<Found> {
    let gems = folder.text("Gemfile")?;
    let puma = gems.lines().any(|line| {
        let line = line.trim_start();
        line.starts_with("gem") && line.contains("puma")
    });
    if !puma {
        return None;
    }
    let run = "bundle exec puma -b tcp://127.0.0.1:$PORT";
    Some(Found::single("Gemfile (puma)", run).on_port())
}

pub(super) fn site(folder: &Folder) -> Option<Found> {
    let directory =
        SITES.into_iter().find(|name| folder.has_file(&format!("{name}/index.html")))?;
    let serve = "python3 -m http.server $PORT --bind 127.0.0.1";
    let found = match directory {
        "." => Found::single("index.html", serve),
        other => {
            Found::single(format!("{other}/index.html"), format!("{serve} --directory {other}"))
        }
    };
    Some(found.on_port())
}
