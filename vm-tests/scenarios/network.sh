# Promise: what holds an app to its ports, destinations and interfaces, and what a private network
# is made of, the kernels of Debian take and keep to: their verifier every program, their nf_tables
# every rule.

set -u
failed=0
cd "$SOURCES/agent" || exit 1

# Cgroups of its own are made only in what systemd has left to the tests.
delegated() { systemd-run --quiet --pipe --wait --collect -p Delegate=yes "$@" < /dev/null; }

echo "--- the programs alone"
delegated "$ENFORCEMENT" --test-threads 2 || failed=1
echo "--- private networks"
delegated "$PRIVATE" --test-threads 2 || failed=1
exit $failed
