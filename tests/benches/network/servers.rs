//! Three nginx of one configuration: outside, inside hostctl, and there in a private network.
//!
//! Owns the processes and their folder; both end with it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;

/// A first start may have to read the program from the disk.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Outside,
    Inside,
    Private,
}

impl Place {
    pub(crate) const ALL: [Place; 3] = [Place::Outside, Place::Inside, Place::Private];
}

/// All servers.
pub(crate) struct Servers {
    folder: PathBuf,
    children: Vec<Child>,
    ports: [u16; 3],
}

impl Servers {
    /// Start them and wait until they answer.
    pub(crate) fn start(hostctl: &Path) -> Outcome<Servers> {
        let folder = std::env::temp_dir().join(format!("hostctl-bench-{}", std::process::id()));
        let outside = free_port(20_000)?;
        let inside = free_port(outside + 1)?;
        let ports = [outside, inside, free_port(inside + 1)?];
        let mut servers = Servers { folder, children: Vec::new(), ports };
        for name in ["outside", "host", "private", "state", "run", "config"] {
            make(&servers.folder.join(name))?;
        }
        servers.start_outside()?;
        for place in [Place::Inside, Place::Private] {
            servers.start_inside(hostctl, place)?;
        }
        servers.wait()?;
        Ok(servers)
    }

    pub(crate) fn port(&self, place: Place) -> u16 {
        self.ports[place as usize]
    }

    fn start_outside(&mut self) -> Outcome<()> {
        let app = self.folder.join("outside");
        let place = self.folder.join("outside/work");
        make(&place)?;
        let configuration = configure(&app, &place.display().to_string(), self.ports[0])?;
        // A session of its own, as hostctl and every service manager give: the scheduler shares time
        // out among sessions, and this one would share the load's.
        let mut command = Command::new("setsid");
        command.args(["nginx", "-e", "stderr", "-p"]).arg(&app).arg("-c").arg(configuration);
        self.spawn(command)
    }

    fn start_inside(&mut self, hostctl: &Path, place: Place) -> Outcome<()> {
        let network = if place == Place::Private { "private" } else { "host" };
        let (app, port) = (self.folder.join(network), self.port(place));
        let configuration = configure(&app, "/tmp", port)?;
        let run = format!("nginx -e stderr -p /tmp -c {}", configuration.display());
        let text = format!(
            "name = \"bench-{network}\"\nrun = {run:?}\nport = {port}\n\
             [access]\nnetwork = {network:?}\n"
        );
        let manifest = app.join("app.toml");
        write(&manifest, &text)?;
        let mut command = Command::new(hostctl);
        command.args(["run", "--quiet"]).arg(manifest);
        for (variable, name) in [
            ("HOSTCTL_STATE_DIR", "state"),
            ("HOSTCTL_RUN_DIR", "run"),
            ("HOSTCTL_CONFIG_DIR", "config"),
        ] {
            command.env(variable, self.folder.join(name));
        }
        self.spawn(command)
    }

    fn spawn(&mut self, mut command: Command) -> Outcome<()> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("start {name}: {error}"))?;
        self.children.push(child);
        Ok(())
    }

    fn wait(&mut self) -> Outcome<()> {
        let end = Instant::now() + PATIENCE;
        for (port, child) in self.ports.into_iter().zip(&mut self.children) {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                let ended = child.try_wait().map_err(|error| format!("wait: {error}"))?;
                if ended.is_some() || Instant::now() > end {
                    return Err(format!("start nginx on port {port}: it does not answer"));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Asked, not killed: nginx ends its worker then, and hostctl its sandbox.
            let _ = Command::new("sh")
                .args(["-c", "kill -s TERM \"$0\"", &child.id().to_string()])
                .status();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn configure(app: &Path, work: &str, port: u16) -> Outcome<PathBuf> {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {work}/{name};\n"))
        .concat();
    let text = format!(
        "daemon off;\nworker_processes 1;\npid {work}/nginx.pid;\nevents {{}}\nhttp {{\n\
         \x20   access_log off;\n    keepalive_requests 1000000000;\n{temporary}\
         \x20   server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"hello\"; }} }}\n}}\n"
    );
    let path = app.join("nginx.conf");
    write(&path, &text)?;
    Ok(path)
}

/// The first free port from this one on, below the kernel's ephemeral range.
fn free_port(from: u16) -> Outcome<u16> {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (from..30_000).find(free).ok_or_else(|| format!("find a free port from {from} on"))
}

fn make(path: &Path) -> Outcome<()> {
    fs::create_dir_all(path).map_err(|error| format!("make {}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Outcome<()> {
    fs::write(path, text).map_err(|error| format!("write {}: {error}", path.display()))
}
