//! Promise: the core of a real crash tells where it was, by the names of the program's own functions;
//! where this host leaves no core in a file, what it does with it is said.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test that can't go on should stop there
#![allow(clippy::disallowed_methods)] // a test starts the program it is about

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use agent::logs::crash::core::{self, Bytes, Crash};
use agent::logs::crash::pattern::Destination;
use agent::logs::crash::{search, stack_trace};

const PROGRAM: &str = "
#include <signal.h>
#include <stdlib.h>
#include <string.h>
volatile char *place = (char *) 0x10;
volatile int zero;
__attribute__((noinline)) static int innermost(int how) {
    if (how == 's') *place = 1;
    if (how == 'j') ((void (*)(void)) 0)();
    if (how == 'f') return 100 / zero;
    return how;
}
__attribute__((noinline)) int middle(int how) { return innermost(how) + 1; }
int main(int count, char **arguments) { return middle(arguments[1][0]) + count; }
";

/// A folder with the program in it; removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, flags: &[&str]) -> Scratch {
        let folder = std::env::temp_dir().join(format!("cores-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("crash.c"), PROGRAM).unwrap();
        let built = Command::new("cc")
            .args(["-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-o", "crash"])
            .args(flags)
            .arg("crash.c")
            .current_dir(&folder)
            .output()
            .expect("a C compiler (package gcc) is needed");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Scratch(folder)
    }

    /// What the core of this crash says, if the host leaves it here.
    fn crash(&self, how: &str) -> Option<Crash> {
        let script = "ulimit -c unlimited && exec ./crash $0";
        let status =
            Command::new("sh").args(["-c", script, how]).current_dir(&self.0).status().unwrap();
        assert!(!status.success());
        let destination = search::destination();
        let Destination::File { name, .. } = &destination else {
            assert!(destination.advice().is_some(), "{destination:?}");
            return None;
        };
        if destination.folder(&self.0) != Some(self.0.clone()) {
            return None;
        }
        let entries = std::fs::read_dir(&self.0).unwrap().flatten();
        let path = entries
            .map(|one| one.path())
            .find(|path| name.fits(&path.file_name().unwrap().to_string_lossy()));
        let path =
            path.unwrap_or_else(|| panic!("no core in {}: {destination:?}", self.0.display()));
        let mut crash = core::read(&File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(path).unwrap();
        let mut open = |path: &str| -> Option<Box<dyn Bytes>> {
            Some(Box::new(File::open(Path::new(path)).ok()?))
        };
        core::name(&mut crash.frames, &mut open);
        Some(crash)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn functions(crash: &Crash) -> Vec<&str> {
    crash
        .frames
        .iter()
        .filter_map(|one| one.symbol.as_ref())
        .map(|(name, _)| name.as_str())
        .collect()
}

#[test]
fn the_core_of_a_crash_tells_where_it_was() {
    for flags in [&[][..], &["-static"], &["-no-pie"]] {
        let scratch = Scratch::new(&flags.concat(), flags);
        let Some(crash) = scratch.crash("s") else { return };
        assert_eq!((crash.signal, crash.address), (11, Some(0x10)), "{flags:?}");
        let said = stack_trace(&crash.frames);
        assert!(
            functions(&crash).starts_with(&["innermost", "middle", "main"]),
            "{flags:?}\n{said}"
        );
        assert!(said.starts_with("#0 innermost+0x") && said.contains("/crash+0x"), "{said}");
        let called = scratch.crash("j").unwrap();
        assert_eq!((called.address, called.frames[0].address), (Some(0), 0));
        assert!(functions(&called).starts_with(&["innermost", "middle", "main"]), "{flags:?}");
        let divided = scratch.crash("f").unwrap();
        assert_eq!(divided.signal, 8);
        assert!(functions(&divided).starts_with(&["innermost", "middle", "main"]), "{flags:?}");
    }
}
