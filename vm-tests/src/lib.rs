//! Boots a Debian guest with systemd and runs one promise a scenario. Only its charter yet.
//!
//! Will own: the guest's recipe (a root file system from packages, a kernel, an initrd), the runner
//! that boots it under QEMU, and the scenarios that a test on the build machine cannot hold: units,
//! cgroup limits, reboot, real interfaces. Uses the built binaries only; never links the agent.

#![forbid(unsafe_code)]
