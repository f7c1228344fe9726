# Promise: what holds an app to its ports, destinations and interfaces, and what a private network
# is made of, the kernels of Debian take and keep to: their verifier every program, their nf_tables
# every rule.

set -u
failed=0
cd "$SOURCES/agent" || exit 1

# Cgroups of its own are made only in what systemd has left to the tests.
delegated() { systemd-run --quiet --pipe --wait --collect -p Delegate=yes "$@" < /dev/null; }

echo "--- every kind of program"
# The verifier counts every way through a program: with one rule and with twenty, with each kind of
# destination, with and without the table of clients, with addresses moved or not.
twenty=$(seq 20000 20019 | sed 's/.*/p& = &/')
twenty_udp=$(seq 20000 20019 | sed 's/.*/u& = { port = &, protocol = "udp" }/')
many=$(seq 1 200 | sed 's/.*/"10.&.0.0\/17:5432", "[2001:db8:&::]\/61:5432",/' | tr -d '\n')
mkdir -p /root/kinds
starts() { # WHAT LINES FLAGS…: the lines stand below [access]
    what=$1 lines=$2
    shift 2
    printf 'name = "kinds"\nrun = "true"\n[access]\n%s\n' "$lines" > /root/kinds/app.toml
    if said=$("$HOSTCTL" run --quiet "$@" /root/kinds/app.toml 2>&1); then
        echo "ok: $what"
    else
        echo "BROKEN: $what: $said"
        failed=1
    fi
}
udp='[ports]
names = { port = 5353, protocol = "udp" }'
fixed='[ports]
web = { port = 8080, fixed = true }
names = { port = 5353, protocol = "udp", fixed = true }'
starts "one TCP port" "[ports]
web = 8080"
starts "one UDP port" "$udp"
starts "one UDP port and a destination" "connect = [\"10.0.0.0/8:53\"]
$udp"
starts "a UDP port and any destination" "connect = [\"*\"]
$udp"
starts "twenty of each" "connect = [\"192.0.2.0/25:5432\"]
[ports]
$twenty
$twenty_udp"
starts "four hundred destinations" "connect = [$many]
$udp"
starts "interfaces" "connect = [\"*\"]
interfaces = [\"lo\"]
$udp"
starts "interfaces and destinations" "connect = [\"10.0.0.0/9:53\"]
interfaces = [\"lo\"]
$udp"
starts "a port of one interface" '[ports]
web = { port = 8080, interface = "lo" }'
starts "moved ports" "$fixed" --port-offset 3
starts "moved ports and destinations" "connect = [\"10.0.0.0/9:53\"]
$fixed" --port-offset 3
starts "twenty moved ports" "connect = [\"10.0.0.0/9:53\"]
[ports]
$(printf '%s\n' "$twenty" | sed 's/= \(.*\)/= { port = \1, fixed = true }/')" --port-offset 3
starts "an address of its own" "address = \"own\"
connect = [\"10.0.0.0/9:53\"]
$fixed"
starts "an address of its own, moved" "address = \"own\"
$fixed" --port-offset 3
starts "a private network" "network = \"private\"
connect = [\"10.0.0.0/9:53\"]
$fixed"
starts "raw sockets" "capabilities = [\"CAP_NET_RAW\"]
connect = [\"10.0.0.0/9:53\"]"
starts "a port that is handed over" '[ports]
web = { port = 80, activate = true }'
left=$(nft list ruleset)
[ -z "$left" ] || { echo "BROKEN: nothing of them is left: $left"; failed=1; }

echo "--- the programs alone"
delegated "$ENFORCEMENT" --test-threads 2 || failed=1
echo "--- private networks"
delegated "$PRIVATE" --test-threads 2 || failed=1
exit $failed
