# Promise: what the end-to-end tests hold on the machine that built them, they hold on a host that
# systemd runs and where cgroup v2 is the only hierarchy, with another kernel than it.
#
# These files of tests, whose promises are kept by the kernel or by cgroups. The others would take half
# an hour under emulation and hold or fail as on any machine: what hostctl does with its own files,
# manifests, flags and documents, terminals, signals, and programs of other projects.

set -u
cd "$SOURCES/tests" || exit 1
set -- destinations:: kernel_calls:: limits:: nothing_left:: own_ports:: privileges:: rootless::

HOSTCTL_BIN=$HOSTCTL exec "$E2E" --test-threads 2 "$@"
