# Promise: what the end-to-end tests hold on the machine that built them, they hold on a host that
# systemd runs and where cgroup v2 is the only hierarchy, with another kernel than it.
#
# These files of tests and not all: under emulation everything takes thirty times as long, and the
# rest depends on none of that (what manifests and documents say, and programs of other projects).

set -u
cd "$SOURCES/tests" || exit 1
HOSTCTL_BIN=$HOSTCTL exec "$E2E" --test-threads 2 \
    descriptors:: kernel_calls:: leases:: limits:: locks:: managed_data:: nothing_left:: \
    own_network:: own_terminal:: privileges:: processes:: rootless:: side_by_side:: stopping::
