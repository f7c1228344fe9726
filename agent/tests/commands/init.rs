//! `hostctl init`: what it makes of each kind of app, and that `check` accepts it.

use crate::scene::Scene;

/// One kind of app: its files, and lines that its manifest has.
struct Kind {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    executable: &'static [&'static str],
    lines: &'static [&'static str],
}

const KINDS: [Kind; 18] = [
    Kind {
        name: "procfile-web",
        files: &[("Procfile", "web: bundle exec puma -p $PORT\nrelease: rake db:migrate\n")],
        executable: &[],
        lines: &["run  = \"bundle exec puma -p $PORT\"", "port = 8080"],
    },
    Kind {
        name: "procfile-many",
        files: &[
            (
                "Procfile",
                "web: RAILS_ENV=production rails s -p ${PORT:-3000}\nwork_er: ./w $QUEUE\n",
            ),
            ("package.json", "{\"scripts\": {\"start\": \"node x.js\"}}"),
        ],
        executable: &[],
        lines: &[
            "[services]",
            "web     = { run = [\"sh\", \"-c\", \"RAILS_ENV=production rails s -p $${PORT:-3000}\"], port = 8080 }",
            "work-er = { run = [\"sh\", \"-c\", \"./w $$QUEUE\"] }",
        ],
    },
    Kind {
        name: "node-script",
        files: &[("package.json", "{\"scripts\": {\"start\": \"node server.js --quiet\"}}")],
        executable: &[],
        lines: &["run  = \"node server.js --quiet\"", "port = 8080"],
    },
    Kind {
        name: "node-installed",
        files: &[
            ("package.json", "{\"scripts\": {\"start\": \"next start -p $PORT\"}}"),
            ("node_modules/.bin/next", ""),
        ],
        executable: &[],
        lines: &["run  = \"node_modules/.bin/next start -p $PORT\""],
    },
    Kind {
        name: "node-other",
        files: &[("package.json", "{\"scripts\": {\"start\": \"NODE_ENV=x node a.js && b\"}}")],
        executable: &[],
        lines: &["run  = \"npm start\""],
    },
    Kind {
        name: "node-main",
        files: &[("package.json", "{\"main\": \"lib/my app.js\"}"), ("lib/my app.js", "")],
        executable: &[],
        lines: &["run  = \"node 'lib/my app.js'\""],
    },
    Kind {
        name: "node-alone",
        files: &[("server.js", "")],
        executable: &[],
        lines: &["run  = \"node server.js\"", "port = 8080"],
    },
    Kind {
        name: "gunicorn",
        files: &[
            ("requirements.txt", "flask\ngunicorn==22\n"),
            ("shop.py", "from flask import Flask\napp = Flask(__name__)\n"),
        ],
        executable: &[],
        lines: &["run  = \"venv/bin/gunicorn shop:app --bind 127.0.0.1:$PORT\"", "port = 8080"],
    },
    Kind {
        name: "uvicorn",
        files: &[
            (
                "pyproject.toml",
                "[project]\ndependencies = [\"fastapi\", \"uvicorn\", \"gunicorn\"]\n",
            ),
            ("main.py", "from fastapi import FastAPI\napp: FastAPI = FastAPI()\n"),
            (".venv/bin/uvicorn", ""),
        ],
        executable: &[],
        lines: &["run  = \".venv/bin/uvicorn main:app --host 127.0.0.1 --port $PORT\""],
    },
    Kind {
        name: "django",
        files: &[
            ("Pipfile", "gunicorn = \"*\"\n"),
            ("mysite/wsgi.py", "application = get_wsgi_application()\n"),
            ("manage.py", "import sys\n"),
        ],
        executable: &[],
        lines: &["run  = \"venv/bin/gunicorn mysite.wsgi:application --bind 127.0.0.1:$PORT\""],
    },
    Kind {
        name: "python-script",
        files: &[("app.py", "import os\nport = int(os.environ['PORT'])\n")],
        executable: &[],
        lines: &["run  = \"python3 app.py\"", "port = 8080"],
    },
    Kind {
        name: "cargo",
        files: &[
            ("Cargo.toml", "[package]\nname = \"web\"\n[dependencies]\naxum = \"0.8\"\n"),
            ("src/main.rs", "fn main() {}\n"),
        ],
        executable: &[],
        lines: &["run  = \"target/release/web\"", "port = 8080"],
    },
    Kind {
        name: "go",
        files: &[
            ("go.mod", "module example.com/team/web/v2\n\ngo 1.24\n"),
            ("main.go", "package main\n\nimport \"net/http\"\n"),
        ],
        executable: &[],
        lines: &["run  = \"./web\"", "port = 8080"],
    },
    Kind {
        name: "puma",
        files: &[("Gemfile", "gem \"puma\", \"~> 6\"\n"), ("config.ru", "run App\n")],
        executable: &[],
        lines: &["run  = \"bundle exec puma -b tcp://127.0.0.1:$PORT\"", "port = 8080"],
    },
    Kind {
        name: "site",
        files: &[("index.html", "<p>")],
        executable: &[],
        lines: &["run  = \"python3 -m http.server $PORT --bind 127.0.0.1\"", "port = 8080"],
    },
    Kind {
        name: "site-below",
        files: &[("public/index.html", "<p>"), ("README.md", "")],
        executable: &[],
        lines: &["run  = \"python3 -m http.server $PORT --bind 127.0.0.1 --directory public\""],
    },
    Kind {
        name: "executable",
        files: &[("my server", "#!/bin/sh\n"), ("notes", "")],
        executable: &["my server"],
        lines: &["run  = \"'./my server'\""],
    },
    Kind {
        name: "library-then-site",
        files: &[
            ("Cargo.toml", "[package]\nname = \"lib\"\n"),
            ("package.json", "{\"scripts\": {\"build\": \"x\"}}"),
            ("Gemfile", "gem \"rake\"\n"),
            ("go.mod", "module x\n"),
            ("index.html", ""),
        ],
        executable: &[],
        lines: &["run  = \"python3 -m http.server $PORT --bind 127.0.0.1\""],
    },
];

#[test]
fn each_kind_of_app_gets_a_short_manifest_that_check_accepts() {
    for kind in &KINDS {
        let scene = Scene::new(&format!("init-{}", kind.name));
        for (name, text) in kind.files {
            scene.write(name, text);
        }
        kind.executable.iter().for_each(|name| scene.make_executable(name));
        let run = scene.hostctl(&["init"]);
        assert_eq!((run.code, run.out.as_str()), (0, ""), "{}: {run:#?}", kind.name);
        assert!(run.err.contains("next: hostctl run app.toml"), "{}: {run:#?}", kind.name);
        let text = std::fs::read_to_string(scene.app().join("app.toml")).unwrap();
        for line in kind.lines {
            assert!(text.lines().any(|found| found == *line), "{}: {line}\n{text}", kind.name);
        }
        let lines = text.lines().count();
        assert!((3..=8).contains(&lines), "{}: {lines} lines\n{text}", kind.name);
        assert!(text.starts_with("# made by hostctl init from "), "{text}");
        scene.hostctl(&["check", "app.toml"]).answer();
        scene.hostctl(&["init", "--print"]).answer();
    }
}

#[test]
fn the_release_line_is_left_out_and_told() {
    let scene = Scene::new("init-release");
    scene.write("Procfile", "release: rake db:migrate\nweb: puma\n");
    let run = scene.hostctl(&["init", "--print"]);
    assert!(!run.answer().contains("migrate"), "{run:#?}");
    assert!(run.err.contains("rake db:migrate"), "{run:#?}");
}

#[test]
fn nothing_is_overwritten_and_printing_writes_nothing() {
    let scene = Scene::new("init-exists");
    scene.write("index.html", "");
    let printed = scene.hostctl(&["init", "--print", "--name", "site"]);
    assert!(printed.answer().contains("name = \"site\"\n"), "{printed:#?}");
    assert!(!scene.app().join("app.toml").exists());
    scene.write("app.toml", "mine\n");
    let run = scene.hostctl(&["init"]);
    assert_eq!(run.code, 73, "{run:#?}");
    assert!(run.err.contains("app.toml") && run.err.contains("--print"), "{run:#?}");
    assert_eq!(std::fs::read_to_string(scene.app().join("app.toml")).unwrap(), "mine\n");
}

#[test]
fn an_unknown_kind_of_app_gets_an_example_to_paste() {
    let scene = Scene::new("init-unknown");
    scene.write("notes.txt", "");
    for programs in [&[][..], &["one", "two"]] {
        for name in programs {
            scene.write(name, "");
            scene.make_executable(name);
        }
        let run = scene.hostctl(&["init"]);
        assert_eq!((run.code, run.out.as_str()), (66, ""), "{run:#?}");
        let (_, example) = run.err.split_once("adapt it:\n").unwrap();
        scene.write("pasted.toml", example);
        scene.hostctl(&["check", "pasted.toml"]).answer();
    }
    assert!(!scene.app().join("app.toml").exists());
}

#[test]
fn names_are_checked_when_typed_and_made_valid_when_found() {
    let scene = Scene::new("init-name");
    scene.write("My Site/index.html", "");
    let run = scene.hostctl(&["init", "My Site"]);
    assert_eq!(run.code, 0, "{run:#?}");
    let text = std::fs::read_to_string(scene.app().join("My Site/app.toml")).unwrap();
    assert!(text.contains("name = \"my-site\"\n"), "{text}");
    let run = scene.hostctl(&["init", "My Site", "--print", "--name", "My Site"]);
    assert_eq!(run.code, 2, "{run:#?}");
    assert!(run.err.contains("try --name my-site"), "{run:#?}");
    let run = scene.hostctl(&["init", "nowhere"]);
    assert_eq!(run.code, 66, "{run:#?}");
}
