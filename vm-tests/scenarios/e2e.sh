# Promise: what the end-to-end tests hold on the machine that built them, they hold on a host that
# systemd runs and where cgroup v2 is the only hierarchy, with another kernel than it.
#
# These files of tests, whose promises are kept by the kernel, by cgroups or by what a host runs
# beside an app. The others would take a quarter of an hour under emulation and hold or fail as on
# any machine: manifests, flags and documents, paths, and programs of other projects.

set -u
cd "$SOURCES/tests" || exit 1
set -- descriptors:: destinations:: kernel_calls:: leases:: limits:: locks:: managed_data:: \
    moved_ports:: nothing_left:: own_interfaces:: own_network:: own_ports:: own_terminal:: \
    privileges:: processes:: rootless:: side_by_side:: stopping:: strange_sockets::

without() { # TEST WHY
    echo "== left out on this guest: $1 ($2)"
    left_out="$left_out --skip $1"
}
left_out=
without leases::forty_copies_at_once_find_a_place_each \
    "emulated, forty starts at once wait for the ledger longer than a start does"
without side_by_side::twenty_services_of_one_app_at_once "for the same reason"
# shellcheck disable=SC2086 # words
HOSTCTL_BIN=$HOSTCTL exec "$E2E" --test-threads 2 "$@" $left_out
