# Promise: hostd as a service keeps apps running. Nothing that is done to its unit reaches an app;
# limits limit; who is not root gets what the host policy says; a shutdown stops apps in order, and
# the next boot starts the same.

set -u
. "$WORDS"
apps=/root/apps
tree=/sys/fs/cgroup
property() { systemctl show --value --property "$1" hostd; }
cgroup() { sed -n 's/^0:://p' "/proc/$1/cgroup"; }
score() { cat "/proc/$1/oom_score_adj"; }

# What hostctl says of an app: a key of its JSON, once for each service, in the order of the manifest.
all() { # KEY APP
    hostctl status "$2" --json | grep -o "\"$1\":[^,}]*" | sed 's/[^:]*://; s/"//g' | paste -sd ' '
}
pids() { all pid shop; }
before() { [ "$1" -gt 0 ] && [ "$1" -lt "$2" ]; }

app() { # NAME PROGRAM MANIFEST
    mkdir -p "$apps/$1"
    printf 'name = "%s"\n%s\n' "$1" "$3" > "$apps/$1/app.toml"
    printf '%s\n' "$2" > "$apps/$1/main.py"
}
write_apps() {
    # Three services, each of which writes down when it begins and when it is asked to end, and takes
    # its time for both. The last answers requests on a socket that it was handed.
    app shop 'import os, signal, socket, sys, threading, time
name = sys.argv[1]
def note(what):
    with open(f"/srv/{name}/notes", "a") as notes:
        notes.write(f"{name} {what} {time.time_ns()} {os.getuid()}\n")
def end(*_):
    time.sleep(1)
    note("ends")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
note("begins")
time.sleep(0.5)
note("is ready")
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
if name != "web": time.sleep(1 << 20)
def serve(listener):
    while True:
        connection, _ = listener.accept()
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
        connection.close()
listener = socket.socket(fileno=3)
threading.Thread(target=serve, args=[listener], daemon=True).start()
serve(listener)' '[services.db]
run = "python3 main.py db"
ready = "notify"
access = { write = ["data:/srv/db"] }
limits = { memory = "200M" }
[services.api]
run = "python3 main.py api"
ready = "notify"
needs = ["db"]
access = { write = ["data:/srv/api"] }
[services.web]
run = "python3 main.py web"
ready = "notify"
needs = ["api"]
ports = { http = { port = 8080, activate = true } }
access = { write = ["data:/srv/web"] }
limits = { memory = "200M" }'
    app eats 'import time
print("up", flush=True)
time.sleep(2)
x = bytearray(200 << 20)
print("got it", flush=True)
time.sleep(1000)' 'run = "python3 main.py"
limits = { memory = "64M" }'
    app forks 'import os, time
count = 1
while True:
    try:
        if os.fork() == 0: time.sleep(1000)
    except OSError as error:
        print("forks", count, error.strerror, flush=True)
        time.sleep(1000)
    count += 1' 'run = "python3 main.py"
limits = { processes = 12 }'
    app burns 'while True: pass' 'run = "python3 main.py"
limits = { cpu = "20%" }'
    chmod -R a+rX /root
}
notes() { cat $(find /var/lib/hostctl -name notes); }
in_order() { # EVENT…: "NAME WHAT", the last of each
    before=0
    for event in "$@"; do
        at=$(notes | sed -n "s/^$event \([0-9]*\) .*/\1/p" | tail -n 1)
        [ "${at:-0}" -gt $before ] || { echo "  $event at ${at:-no time}"; notes; return 1; }
        before=$at
    done
}

# Requests, two at a time, each on a connection of its own; what fails is counted.
write_load() {
    cat > /root/load.py <<'X'
import os, socket, threading, time
count = failed = 0
def ask():
    global count, failed
    while not os.path.exists("/run/load.stop"):
        try:
            with socket.create_connection(("127.0.0.1", 8080), 30) as one:
                one.sendall(b"GET / HTTP/1.0\r\n\r\n")
                data = b""
                while part := one.recv(4096):
                    data += part
                if not data.endswith(b"ok"):
                    failed += 1
        except OSError as error:
            print(error, flush=True)
            failed += 1
        count += 1
        time.sleep(0.005)
threads = [threading.Thread(target=ask) for _ in range(2)]
for one in threads: one.start()
for one in threads: one.join()
print(failed, count)
X
}
load() { rm -f /run/load.stop; python3 /root/load.py > /run/load.out & loader=$!; sleep 1; }
unload() { : > /run/load.stop; wait $loader; tail -n 5 /run/load.out; }
unnoticed() { # WHAT: since the load began nothing was asked in vain, and nothing restarted
    unload > /run/load.last
    read -r lost total < /run/load.last || lost=none
    echo "== $1: $total requests"
    holds "$1: no request fails" is "$lost" 0 || cat /run/load.last
    holds "$1: there were requests" [ "${total:-0}" -gt 20 ]
    holds "$1: every process is the same" is "$(pids)" "$same"
}
answers() { hostctl ps > /dev/null 2>&1; }
another() { main=$(property MainPID) && [ "$main" != 0 ] && [ "$main" != "$hostd" ] && answers; }
give_up() { journalctl -q -u hostd -o cat | tail -n 40; hostctl status shop; exit 1; }

first() {
    echo "--- installed as a service"
    install -m 755 "$HOSTCTL" "$HOSTD" /usr/bin/
    install -m 644 "$SOURCES/packaging/hostd.service" /etc/systemd/system/
    holds "the unit has no mistake" is "$(systemd-analyze verify hostd.service 2>&1)" ""
    systemctl daemon-reload
    systemctl --quiet enable --now hostd || { journalctl -u hostd; exit 1; }
    holds "it is ready" is "$(property ActiveState)" active
    holds "its API answers" answers
    holds "another one is refused" matches "$(hostd 2>&1)" "*in use by hostd, process $(property MainPID)*"
    hostd=$(property MainPID)
    holds "it goes last when memory runs out" is "$(score $hostd)" -900

    echo "--- an app with three services"
    write_apps
    holds "it is deployed, and serves" hostctl deploy --wait $apps/shop || give_up
    holds "each was started when what it needs was ready" in_order "db begins" "db is ready" \
        "api begins" "api is ready" "web begins" "web is ready"
    init=$(pids | cut -d ' ' -f 3)
    keeper=$(sed -n 's/^PPid:\t//p' /proc/$init/status)
    scope=hostctl-shop.web.1-$keeper.scope
    holds "it is in a scope of its own" matches "$(cgroup $init)" \
        "/system.slice/$scope/hostctl-shop.web.1-*"
    holds "with its keeper" is "$(cgroup $keeper)" "/system.slice/$scope/hostctl-keeper"
    holds "hostd is alone in its unit" is "$(cat $tree/system.slice/hostd.service/cgroup.procs)" $hostd
    holds "the scope stops after hostd" matches "$(systemctl show --property Before $scope)" \
        "*hostd.service*"
    holds "its keeper goes last when memory runs out" is "$(score $keeper)" -900
    holds "process 1 of its sandbox does not" is "$(score $init)" 0
    holds "nor does its program" is "$(score "$(cut -d ' ' -f 1 /proc/$init/task/$init/children)")" 0

    echo "--- limits"
    for name in eats forks burns; do hostctl deploy $apps/$name; done
    told() { hostctl status eats | tr -d '\n' | grep -q "[1-9] restart.*limits.memory"; }
    holds "what takes more memory is ended and started again, and told why" eventually told ||
        hostctl status eats
    at=$tree$(cgroup "$(all pid forks)")
    hit() { matches "$(cat $at/pids.max) $(cat $at/pids.events)" "13 max [1-9]*" > /dev/null; }
    holds "another has no more processes than its limit" eventually hit || hostctl status forks
    at=$tree$(cgroup "$(all pid burns)")
    used() { sed -n 's/^usage_usec //p' $at/cpu.stat; }
    from=$(date +%s%3N) used=$(used)
    sleep 5
    share=$((($(used) - used) / 10 / ($(date +%s%3N) - from)))
    echo "== a program with cpu = 20% took $share% of a core"
    holds "another takes its share of processor time" [ $share -ge 12 -a $share -le 28 ]
    for name in eats forks burns; do
        holds "$name is removed" hostctl remove --wait $name
    done
    holds "and nothing of them is left" is "$(find $tree -name 'hostctl-*.scope' | wc -l)" 3

    echo "--- who is not root"
    echo "alice:x:1001:1001::/:/bin/sh" >> /etc/passwd
    mkdir -p /etc/hostctl $apps/blog
    chmod -R a+rX /root
    cat > /etc/hostctl/policy.toml <<'X'
[[users]]
user = "alice"
apps = ["shop"]
may = ["control"]
[[users]]
uid = 1002
apps = ["blog"]
may = ["deploy"]
X
    printf 'name = "blog"\nrun = "true"\n[access]\nread = ["/srv/kept/file"]\n' > $apps/blog/app.toml
    install -d -m 700 /srv/kept
    echo secret > /srv/kept/file
    user() { # UID ARGUMENT…
        uid=$1; shift
        HOME=/ setpriv --reuid "$uid" --regid "$uid" --clear-groups hostctl "$@" \
            > /run/said 2>&1
    }
    refused() { user "$@"; is $? 77 || { cat /run/said; return 1; }; }
    holds "a user sees the app that she may control" user 1001 status shop
    holds "and controls it" user 1001 start shop
    holds "but does not remove it" refused 1001 remove shop
    holds "and is told so" matches "$(cat /run/said)" "*alice may not deploy shop: the host policy*"
    holds "nor deploys it" refused 1001 deploy $apps/shop
    holds "nor stops every app" refused 1001 halt
    holds "another sees nothing of it" refused 1002 status shop
    holds "but deploys an app of his" user 1002 deploy $apps/blog
    told() { hostctl status blog 2>&1 | grep -q "/srv/kept.*ermission denied"; }
    holds "which is granted no file that he can not reach" eventually told || hostctl status blog
    holds "and removes it" user 1002 remove blog
    holds "who did what is on record" matches "$(hostctl audit)" "*uid 1002*deploy blog*"

    echo "--- hostd ends, and the apps go on"
    write_load
    same=$(pids)
    began=$(all since_ms shop | cut -d ' ' -f 1)
    load
    holds "it is started anew" systemctl restart hostd
    holds "by another hostd" another
    unnoticed "systemctl restart"
    holds "which knows since when they run" before "$(all since_ms shop | cut -d ' ' -f 1)" \
        $((began + 1000))
    load
    hostd=$(property MainPID)
    holds "all of the unit is killed" systemctl kill -s KILL hostd
    holds "another hostd comes by itself" eventually another
    unnoticed "systemctl kill -s KILL"
    mkdir -p /run/systemd/system/hostd.service.d
    printf '[Service]\nWatchdogSec=5s\n' > /run/systemd/system/hostd.service.d/soon.conf
    load
    systemctl daemon-reload
    systemctl daemon-reexec
    systemctl restart hostd
    hostd=$(property MainPID)
    kill -STOP $hostd
    holds "one that hangs is replaced" eventually another
    holds "by the watchdog" matches "$(journalctl -q -u hostd -o cat)" "*atchdog timeout*"
    unnoticed "daemon-reload, daemon-reexec and a hostd that hangs"
    load
    systemctl stop hostd
    holds "it is stopped" is "$(property ActiveState)" inactive
    sleep 1
    systemctl start hostd
    unnoticed "systemctl stop, and start"

    # Should the end be in the wrong order, this says how it went.
    mkdir -p /var/log/journal
    journalctl --flush
    # A watchdog that is sooner than a busy systemd's answer must not keep hostd from its last work.
    printf '[Service]\nWatchdogSec=1s\n' > /run/systemd/system/hostd.service.d/soon.conf
    systemctl daemon-reload
    systemctl restart hostd
    [ $failed -eq 0 ] || give_up
    all port shop > /root/ports
    users > /root/users
    cat /proc/sys/kernel/random/boot_id > /root/boot
    exit 99
}
users() { notes | awk '{ print $1, $NF }' | sort -u; }

second() {
    echo "--- the machine went down"
    holds "there was a reboot" eval '! cmp -s /proc/sys/kernel/random/boot_id /root/boot'
    holds "dependents ended before what they need" in_order "web ends" "api ends" "db ends" ||
        journalctl -q -b -1 -o short-precise | grep -i 'hostctl\|hostd' | tail -n 80
    echo "--- and came up again"
    holds "hostd runs" is "$(property ActiveState)" active
    serve() { hostctl status shop > /dev/null 2>&1; }
    holds "all of the app serves" eventually serve || give_up
    holds "what others need began before them" in_order "db ends" "db begins" "db is ready" \
        "api begins" "api is ready" "web begins" "web is ready"
    holds "with the same users and data" is "$(users)" "$(cat /root/users)"
    holds "at the same ports" is "$(all port shop)" "$(cat /root/ports)"
    write_load
    load
    same=$(pids)
    unnoticed "after a reboot"
    holds "the record of who did what is whole" hostctl audit verify
}

# The scenarios after this one find the guest as it was.
leave() {
    for name in shop eats forks burns blog; do hostctl remove $name > /dev/null 2>&1; done
    none() { ! grep -qsx 'hostctl-keeper\|hostctl-logger' /proc/[0-9]*/comm; }
    eventually none
    systemctl --quiet disable --now hostd
    rm -rf /var/lib/hostctl /run/hostctl /etc/hostctl /usr/bin/hostctl /usr/bin/hostd \
        /etc/systemd/system/hostd.service /run/systemd/system/hostd.service.d
    systemctl daemon-reload
}
trap '[ $? -eq 99 ] || leave' EXIT

case $STAGE in
1) first ;;
2) second ;;
esac
exit $failed
