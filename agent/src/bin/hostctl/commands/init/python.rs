//! A Python app: a WSGI or ASGI server with its module, or a plain script.

use super::detect::{Found, word};
use super::folder::Folder;

/// Files that say what a Python app needs.
const REQUIREMENTS: [&str; 3] = ["requirements.txt", "pyproject.toml", "Pipfile"];
/// Where the application object usually is; other modules come after these.
const MODULES: [&str; 5] = ["wsgi.py", "asgi.py", "app.py", "main.py", "server.py"];
/// Scripts that are probably the program itself.
const SCRIPTS: [&str; 3] = ["app.py", "main.py", "server.py"];
/// Signs of a server in a script.
const LISTENS: [&str; 7] =
    ["PORT", "port=", "http.server", "socket", "listen(", "flask", "serve_forever"];

pub(super) fn detect(folder: &Folder) -> Option<Found> {
    served(folder).or_else(|| script(folder))
}

/// An application object in a module, and a server for it.
fn served(folder: &Folder) -> Option<Found> {
    let (file, needs) =
        REQUIREMENTS.iter().find_map(|name| Some((*name, folder.text(name)?.to_lowercase())))?;
    let (gunicorn, uvicorn) = (needs.contains("gunicorn"), needs.contains("uvicorn"));
    if !gunicorn && !uvicorn {
        return None;
    }
    let application = applications(folder).next()?;
    let (target, programs) = (&application.target, programs(folder));
    let (server, options) = match uvicorn && (application.is_asgi || !gunicorn) {
        true => ("uvicorn", "--host 127.0.0.1 --port $PORT"),
        false => ("gunicorn", "--bind 127.0.0.1:$PORT"),
    };
    let run = format!("{programs}{server} {target} {options}");
    let source = format!("{file} ({server}) and {}", application.file);
    let found = Found::single(source, run).on_port();
    let installed = folder.has_file(&format!("{programs}{server}"));
    Some(if installed { found } else { found.note(install(file, &programs)) })
}

/// A script that is run as it is.
fn script(folder: &Folder) -> Option<Found> {
    let file = folder.first_file(&SCRIPTS)?;
    let text = folder.text(file)?.to_lowercase();
    let listens = LISTENS.iter().any(|sign| text.contains(&sign.to_lowercase()));
    let program = ["venv", ".venv"]
        .iter()
        .map(|name| format!("{name}/bin/python3"))
        .find(|name| folder.has_file(name))
        .unwrap_or_else(|| "python3".to_owned());
    Some(Found::single(file, format!("{program} {}", word(file))).on_port_if(listens))
}

/// An object that a server can serve.
struct Application {
    /// As servers name it: `shop:app`.
    target: String,
    /// The file it is in.
    file: String,
    is_asgi: bool,
}

/// Every module with an application object, the likely ones first.
fn applications(folder: &Folder) -> impl Iterator<Item = Application> {
    let names: Vec<String> = folder.entries().map(str::to_owned).collect();
    let others = names.iter().filter(|name| name.ends_with(".py")).cloned();
    let packages = names.iter().filter(|name| folder.has_directory(name)).flat_map(|package| {
        ["wsgi.py", "asgi.py", "app.py", "main.py", "__init__.py"]
            .map(|file| format!("{package}/{file}"))
    });
    let files: Vec<String> =
        MODULES.map(str::to_owned).into_iter().chain(others).chain(packages).collect();
    files.into_iter().filter_map(|file| {
        let text = folder.text(&file)?;
        let object = text.lines().find_map(assigned)?;
        let is_asgi =
            ["fastapi", "starlette", "asgi"].iter().any(|sign| text.to_lowercase().contains(sign));
        let module = file.trim_end_matches(".py").trim_end_matches("/__init__").replace('/', ".");
        // A module that is no Python identifier can't be imported by its name.
        let importable = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let target = module.chars().all(importable).then(|| format!("{module}:{object}"))?;
        Some(Application { target, file, is_asgi })
    })
}

/// The name in a line that makes an application object at the module's top level.
fn assigned(line: &str) -> Option<&'static str> {
    ["app", "application"].into_iter().find(|name| {
        let rest = line.strip_prefix(name).map(str::trim_start);
        let rest = rest.map(|rest| match rest.split_once('=') {
            // An annotation: `app: Flask = …`.
            Some((kind, value)) if kind.starts_with(':') => format!("={value}"),
            _ => rest.to_owned(),
        });
        rest.is_some_and(|rest| rest.starts_with('=') && !rest.starts_with("=="))
    })
}

/// Where the virtual environment keeps its programs; `venv` if there is none yet.
fn programs(folder: &Folder) -> String {
    let name = if !folder.has_directory("venv") && folder.has_directory(".venv") {
        ".venv"
    } else {
        "venv"
    };
    format!("{name}/bin/")
}

fn install(file: &str, programs: &str) -> String {
    let from = match file {
        "requirements.txt" => "-r requirements.txt",
        "pyproject.toml" => ".",
        _ => "(what the Pipfile lists)",
    };
    let name = programs.trim_end_matches("/bin/");
    format!("install what it needs first: python3 -m venv {name} && {programs}pip install {from}")
}

#[cfg(test)]
mod tests {
    use super::assigned;

    #[test]
    fn an_application_is_a_name_bound_at_the_top_level() {
        for (line, name) in [
            ("app = Flask(__name__)", Some("app")),
            ("app=FastAPI()", Some("app")),
            ("app: FastAPI = FastAPI()", Some("app")),
            ("application = get_wsgi_application()", Some("application")),
            ("    app = 1", None),
            ("apple = 1", None),
            ("app == 1", None),
            ("app.run()", None),
            ("def app(): pass", None),
        ] {
            assert_eq!(assigned(line), name, "{line}");
        }
    }
}
