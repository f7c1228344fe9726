//! A Node.js app: package.json, or a lone server.js.

use serde_json::Value;

use super::detect::{Found, word};
use super::folder::Folder;

/// What `npm start` runs when the package does not say (npm-start(1)), and its usual neighbours.
const MAINS: [&str; 3] = ["server.js", "index.js", "app.js"];

pub(super) fn detect(folder: &Folder) -> Option<Found> {
    let found = package(folder).or_else(|| {
        folder.has_file(MAINS[0]).then(|| Found::single(MAINS[0], format!("node {}", MAINS[0])))
    })?;
    Some(found.on_port().note("the program must listen on process.env.PORT"))
}

fn package(folder: &Folder) -> Option<Found> {
    let package: Value = serde_json::from_str(&folder.text("package.json")?).ok()?;
    let start = package["scripts"]["start"].as_str().map(str::trim).filter(|text| !text.is_empty());
    let found = match start {
        Some(start) => of_script(folder, start),
        None => {
            let main = package["main"].as_str().filter(|main| folder.has_file(main));
            let main = main.or_else(|| folder.first_file(&MAINS))?;
            let source = format!("package.json ({main})");
            Found::single(source, format!("node {}", word(main)))
        }
    };
    let installs = ["dependencies", "devDependencies"]
        .iter()
        .any(|key| package[key].as_object().is_some_and(|list| !list.is_empty()));
    let missing = installs && !folder.has_directory("node_modules");
    Some(if missing { found.note("install what it needs first: npm install") } else { found })
}

/// From the package's start script: npm itself is left out where it can be.
fn of_script(folder: &Folder, start: &str) -> Found {
    let source = "package.json (scripts.start)";
    let program = start.split_whitespace().next().unwrap_or_default();
    let installed = format!("node_modules/.bin/{program}");
    if program == "node" {
        Found::single(source, start)
            .note("npm start is left out: npm would stand between hostctl and the program")
    } else if folder.has_file(&installed) {
        let rest = start.trim_start_matches(program);
        Found::single(source, format!("{installed}{rest}"))
            .note("npm start is left out: npm would stand between hostctl and the program")
    } else {
        Found::single(source, "npm start")
            .note("run is npm start, since what its script runs is not a file here")
    }
}
