//! The guest: Debian 12 with systemd, made from packages, as a disk image, with its kernels.
//!
//! Invariant: an image has the name of its recipe's hash and appears when it is whole, so that one
//! that is found is the one that is wanted. Never changed after it was made.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scratch::Scratch;
use crate::tools::{disk, run};

/// What decides how an image comes out, beside this file: name, content, and whether it is run.
const RECIPE: [(&str, &str, bool); 6] = [
    ("packages", include_str!("../guest/packages"), false),
    ("sources.list", include_str!("../guest/sources.list"), false),
    ("initramfs", include_str!("../guest/initramfs"), true),
    ("settle", include_str!("../guest/settle"), true),
    ("promises", include_str!("../guest/promises"), true),
    ("promises.service", include_str!("../guest/promises.service"), false),
];

/// Bytes the guest's disk has; the file that holds it has holes instead of what is free.
const SIZE: u64 = 4 << 30;

/// What no scenario reads, as dpkg(1) excludes it: documents, and drivers of real hardware.
const LEFT_OUT: [&str; 9] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/lib/modules/*/kernel/sound/*",
    "/lib/modules/*/kernel/drivers/[giu]*",
    "/lib/modules/*/kernel/drivers/m*",
    "/lib/modules/*/kernel/drivers/s*",
    "/lib/modules/*/kernel/drivers/net/wireless/*",
    "/lib/modules/*/kernel/drivers/net/ethernet/*",
];

/// A guest that can be booted.
#[derive(Debug)]
pub struct Image {
    folder: PathBuf,
}

/// A kernel of a guest, with its initrd.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The kernel.
    pub kernel: PathBuf,
    /// Its initrd.
    pub initrd: PathBuf,
}

impl Image {
    /// The image below `cache`, if it is there.
    pub fn find(cache: &Path) -> Option<Image> {
        let folder = cache.join(name());
        folder.exists().then_some(Image { folder })
    }

    /// Make the image, in place of those of other recipes: a minute or more, and packages of 150
    /// MB.
    ///
    /// # Errors
    /// What the programs said that make it.
    pub fn make(cache: &Path, scratch: &Scratch) -> Result<Image, String> {
        let folder = cache.join(name());
        let made = make(scratch.path())?;
        forget_others(cache);
        std::fs::rename(made, &folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Image { folder })
    }

    /// Its disk.
    pub fn disk(&self) -> PathBuf {
        self.folder.join("disk")
    }

    /// The kernel whose release begins with `version`.
    ///
    /// # Errors
    /// The kernels that are there, if that is not one of them.
    pub fn kernel(&self, version: &str) -> Result<Kernel, String> {
        let entries = std::fs::read_dir(&self.folder);
        let entries = entries.map_err(|error| format!("{}: {error}", self.folder.display()))?;
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let releases: Vec<String> =
            names.filter_map(|name| name.strip_prefix("vmlinuz-").map(str::to_owned)).collect();
        let Some(release) = releases.iter().find(|release| is(release, version)) else {
            return Err(format!("no kernel {version} in the guest, but {}", releases.join(", ")));
        };
        let kernel = self.folder.join(format!("vmlinuz-{release}"));
        Ok(Kernel { kernel, initrd: self.folder.join(format!("initrd.img-{release}")) })
    }
}

/// The name of the image's folder.
fn name() -> String {
    let mut hasher = DefaultHasher::new();
    // How the tools are called is part of the recipe too.
    (RECIPE, include_str!("image.rs")).hash(&mut hasher);
    format!("debian-12-{:016x}", hasher.finish())
}

/// Whether `6.1.0-56-cloud-amd64` is a 6.1; 6.12 is not.
fn is(release: &str, version: &str) -> bool {
    release.strip_prefix(version).is_some_and(|rest| rest.starts_with(['.', '-']))
}

/// Make an image in a folder of the scratch.
fn make(scratch: &Path) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", scratch.display());
    let (recipe, root, made) = (scratch.join("recipe"), scratch.join("root"), scratch.join("made"));
    for folder in [&recipe, &made] {
        std::fs::create_dir(folder).map_err(failed)?;
    }
    for (name, content, executable) in RECIPE {
        use std::os::unix::fs::PermissionsExt;
        let path = recipe.join(name);
        std::fs::write(&path, content).map_err(failed)?;
        let mode = if executable { 0o755 } else { 0o644 };
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).map_err(failed)?;
    }
    let hook = |when: &str, name: &str| format!("--{when}-hook={}", recipe.join(name).display());
    run(Command::new("mmdebstrap")
        .args(["--quiet", "--mode=root", "--variant=minbase"])
        .arg(format!("--include={}", packages()))
        .arg("--aptopt=APT::Install-Recommends \"false\"")
        .args(LEFT_OUT.map(|pattern| format!("--dpkgopt=path-exclude={pattern}")))
        .args([hook("essential", "initramfs"), hook("customize", "settle")])
        .args([Path::new("bookworm"), &root, &recipe.join("sources.list")]))?;
    for entry in std::fs::read_dir(root.join("boot")).map_err(failed)?.flatten() {
        let name = entry.file_name();
        if ["vmlinuz-", "initrd.img-"].iter().any(|part| name.to_string_lossy().starts_with(part)) {
            std::fs::copy(entry.path(), made.join(name)).map_err(failed)?;
        }
    }
    disk(&root, &made.join("disk"), SIZE)?;
    Ok(made)
}

fn packages() -> String {
    let lines = RECIPE[0].1.lines().map(str::trim);
    let names: Vec<_> = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    names.join(",")
}

/// Remove the images of other recipes: each is more than a gigabyte.
fn forget_others(cache: &Path) {
    for entry in std::fs::read_dir(cache).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("debian-") {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_no_prefix_of_another() {
        assert!(is("6.1.0-56-cloud-amd64", "6.1"));
        assert!(!is("6.12.95+deb12-amd64", "6.1"));
    }

    #[test]
    fn the_list_of_packages_has_no_remarks() {
        let packages = packages();
        assert!(packages.starts_with("systemd-sysv,dbus,"), "{packages}");
        assert!(!packages.contains(['#', ' ', '\n']), "{packages}");
    }
}
