//! Starts of a program that ends at once, with more and more of the network.
//!
//! Owns the manifests and their folder. Invariant: rounds take turns, so all had the same
//! neighbours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Outcome, median};

const ROUNDS: usize = 101;
/// The kernel takes namespaces apart late.
const REST: Duration = Duration::from_millis(3);

/// Time them, and print a table.
pub(crate) fn measure(hostctl: &Path) -> Outcome<()> {
    let folder = Folder::make()?;
    let cases = [
        ("no network", String::new()),
        ("the host's network, nothing granted", "[access]\nnetwork = \"host\"\n".to_owned()),
        ("1 port", ports(1)),
        ("20 ports", ports(20)),
        ("1 port on its own address", format!("{}[access]\naddress = \"own\"\n", ports(1))),
        ("1 port of a private network", format!("{}[access]\nnetwork = \"private\"\n", ports(1))),
    ];
    for (index, (_, keys)) in cases.iter().enumerate() {
        let text = format!("name = \"bench-{index}\"\nrun = \"true\"\n{keys}");
        let path = folder.manifest(index);
        fs::write(&path, text).map_err(|error| format!("write {}: {error}", path.display()))?;
    }
    let mut times = vec![Vec::new(); cases.len()];
    for round in 0..=ROUNDS {
        for (index, times) in times.iter_mut().enumerate() {
            let took = folder.start(hostctl, index)?;
            if round > 0 {
                times.push(took);
            }
            std::thread::sleep(REST);
        }
    }
    println!("### Start and exit by what of the network is granted, {ROUNDS} rounds\n");
    println!("| granted | median ms | × no network | × 1 port |");
    println!("| --- | ---: | ---: | ---: |");
    let medians: Vec<_> = times.iter_mut().map(|times| median(times)).collect();
    for ((name, _), time) in cases.iter().zip(&medians) {
        let (none, one) = (time / medians[0], time / medians[2]);
        println!("| {name} | {time:.2} | {none:.2} | {one:.2} |");
    }
    println!();
    Ok(())
}

fn ports(count: u16) -> String {
    let further: String = (1..count).map(|n| format!("p{n} = {}\n", 21_000 + n)).collect();
    format!("port = 21000\n[ports]\n{further}")
}

/// Manifests and hostctl's directories, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Outcome<Folder> {
        let path = std::env::temp_dir().join(format!("hostctl-starts-{}", std::process::id()));
        let apps = path.join("apps");
        fs::create_dir_all(&apps).map_err(|error| format!("make {}: {error}", apps.display()))?;
        Ok(Folder(path))
    }

    fn manifest(&self, index: usize) -> PathBuf {
        self.0.join(format!("apps/{index}.toml"))
    }

    /// Milliseconds from the start to the end.
    fn start(&self, hostctl: &Path, index: usize) -> Outcome<f64> {
        let mut command = Command::new(hostctl);
        command.args(["run", "--quiet"]).arg(self.manifest(index));
        for name in ["STATE", "RUN", "CONFIG"] {
            command.env(format!("HOSTCTL_{name}_DIR"), self.0.join(name));
        }
        let begun = Instant::now();
        let status = command.stdin(Stdio::null()).status();
        match status.map(|status| status.success()) {
            Ok(true) => Ok(begun.elapsed().as_secs_f64() * 1e3),
            _ => Err(format!("run manifest {index} with {}", hostctl.display())),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
