# Promise: where cgroup v2 has the controllers, an app gets no more memory, processes and processor
# time than its limits say, whoever starts it, and what it is ended for is told.

set -u
. "$WORDS"
units=/run/systemd/system
tree=/sys/fs/cgroup
apps=/root/apps
folder() { find $tree -type d -name "hostctl-$1.*.1-*-*-*" 2> /dev/null | head -n 1; }
processes() { grep -qsx 'hostctl\|hostctl-init\|hostctl-scope' /proc/[0-9]*/comm; }
gone() { [ -z "$(find $tree -type d -name 'hostctl-*' 2> /dev/null)" ] && ! processes; }

# An app: NAME PROGRAM LIMITS MORE.
app() {
    mkdir -p $apps/$1
    printf 'name = "%s"\nrun = "python3 main.py"\n[limits]\n%s\n%s\n' "$1" "$3" "${4-}" \
        > $apps/$1/app.toml
    printf '%s\n' "$2" > $apps/$1/main.py
    chmod -R a+rX /root $apps
}
begin() { # NAME WRAPPER…: $pid is hostctl, $at the app's cgroup
    name=$1; shift
    : > /run/$name.out
    "$@" "$HOSTCTL" run "$apps/$name/app.toml" > /run/$name.out 2>&1 &
    pid=$!
    eventually grep -qs '^up' /run/$name.out || { cat /run/$name.out; return 1; }
    at=$(folder $name)
}

app stays 'print("up", flush=True)
import time; time.sleep(1000)' 'memory = "64M"
cpu = "150%"
processes = 20
io = 1000'
app eats 'print("up", flush=True)
import subprocess, time
# A child takes it, and the program itself would go on.
subprocess.call(["python3", "-c", "x = bytearray(200 << 20); print(\"got it\", flush=True)"])
print("survived", flush=True)
time.sleep(1000)' 'memory = "64M"'
forks='import os, time
count = 1
while True:
    try:
        if os.fork() == 0: time.sleep(1000)
    except OSError as error:
        print("up", count, error.strerror, flush=True)
        os._exit(0)
    count += 1'
app forks "$forks" 'processes = 12'
app roots "$forks" 'processes = 12' '[access]
user = "root"'
app burns 'print("up", flush=True)
while True: pass' 'cpu = "20%"'
mkdir -p /etc/hostctl
printf '[allow]\nroot = ["roots"]\n' > /etc/hostctl/policy.toml

echo "--- doctor and plan"
holds "doctor knows" matches "$("$HOSTCTL" doctor)" \
    "*memory, cpu, processes and io can be limited, in scopes of systemd's*"
holds "nothing is missing in the plan" matches "$("$HOSTCTL" plan --strict $apps/stays/app.toml)" \
    "*memory*64M*"

echo "--- limits in force in a scope"
begin stays || exit 1
stays=$pid stays_at=$at
holds "the app is in its scope" matches "$at" \
    "$tree/system.slice/hostctl-stays.main.1-*.scope/hostctl-stays.main.1-*"
for pair in memory.max=67108864 memory.high=66060288 memory.swap.max=0 memory.oom.group=1 \
    pids.max=21 "cpu.max=150000 100000"; do
    file=${pair%%=*}
    # Without swap the kernel may have no file for it.
    [ $file = memory.swap.max ] && [ ! -e $at/$file ] && continue
    holds "$file" is "$(cat $at/$file)" "${pair#*=}"
done
# Which file there is depends on the kernel's configuration; one counts per device.
holds "the weight of its input and output" grep -qsx "1000\|default 1000\|181\|default 181" \
    $at/io.weight $at/io.bfq.weight
holds "the scope's own cgroup has no process" is "$(cat $at/../cgroup.procs)" ""

echo "--- memory"
begin eats || exit 1
wait $pid
code=$?
cat /run/eats.out
holds "it ended by SIGKILL" is $code 137
holds "all of it, and before it got so much" eval '! grep -q "got it\|survived" /run/eats.out'
holds "the limit is named" grep -qx \
    "hostctl: eats was ended by the kernel: it used more than limits.memory = 64M" /run/eats.out
holds "and what to do" grep -q "hint: give it more, as in --set limits.memory=128M" /run/eats.out
holds "another app goes on" kill -0 $stays
holds "with all its processes" is "$(wc -l < $stays_at/cgroup.procs)" 2
kill $stays
wait $stays
holds "nothing is left" eventually gone
begin stays || exit 1
systemctl stop "$(basename "$(dirname "$at")")"
wait $pid
holds "a scope with limits can be stopped" is $? 143
holds "nothing is left of it" eventually gone

echo "--- processes"
for name in forks roots; do
    begin $name || exit 1
    wait $pid
    holds "$name: as many as the limit says" grep -qx \
        "up 12 Resource temporarily unavailable" /run/$name.out
done
holds "nothing is left" eventually gone

echo "--- processor time"
begin burns || exit 1
used() { sed -n 's/^usage_usec //p' $at/cpu.stat; }
sleep 2
used=$(used) before=$(date +%s%3N)
sleep 10
share=$((($(used) - used) / 10 / ($(date +%s%3N) - before)))
echo "== a program with cpu = 20% took $share% of a core"
holds "it takes about its share" [ $share -ge 12 -a $share -le 28 ]
holds "and waited for the rest" matches "$(sed -n 's/^throttled_usec //p' $at/cpu.stat)" '[1-9]*'
kill -9 $pid
wait $pid 2> /dev/null
holds "nothing is left after a kill -9" eventually gone

echo "--- a start takes"
cat > /run/probe.times <<'TIMES'
times=
for turn in 1 2 3 4 5; do
    before=$(date +%s%3N)
    "$@" || exit 1
    times="$times $(($(date +%s%3N) - before))"
done
printf '%s\n' $times | sort -n | sed -n 3p
TIMES
ends="$HOSTCTL run --quiet --name probe --network host --connect 127.0.0.1:7001"
with=$(sh /run/probe.times $ends --memory 64M -- true)
without=$(sh /run/probe.times $ends -- true)
echo "== a run takes $with ms with a limit, $without ms without, in a scope each"

echo "--- kill -9 of the caller at any moment before"
for part in 4 6 8 9 10 11 12 13 14 15 16 18; do
    "$HOSTCTL" run $apps/stays/app.toml > /run/stays.out 2>&1 &
    pid=$!
    sleep "$(printf '%d.%03d' $((with * part / 16000)) $((with * part / 16 % 1000)))"
    kill -9 $pid
    wait $pid 2> /dev/null
done
holds "nothing is left of any" eventually gone || find $tree -name 'hostctl-*'

echo "--- a unit with Delegate=yes"
unit() { # NAME COMMAND LINES
    printf '[Service]\nExecStart=%s\nDelegate=yes\nStandardOutput=file:/run/stays.out\n%s\n' \
        "$2" "${3-}" > $units/$1.service
    systemctl daemon-reload
    : > /run/stays.out
    systemctl start $1
    eventually grep -qs '^up' /run/stays.out || { cat /run/stays.out; return 1; }
    at=$(folder stays)
}
unit plain "$HOSTCTL run $apps/stays/app.toml" || failed=1
holds "has hostctl in it, so the app gets a scope" matches "$at" \
    "$tree/system.slice/hostctl-stays.main.1-*.scope/*"
holds "and its limits" is "$(cat $at/memory.max)" 67108864
systemctl stop plain
holds "nothing is left" eventually gone

# What DelegateSubgroup= does from systemd 254 on.
cat > /root/apps/aside <<'X'
at=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
mkdir $at/main && echo $$ > $at/main/cgroup.procs && exec "$@"
X
unit aside "/bin/sh $apps/aside $HOSTCTL run $apps/stays/app.toml" || failed=1
holds "with hostctl in a subgroup it keeps the app" matches "$at" \
    "$tree/system.slice/aside.service/hostctl-stays.main.1-*"
holds "and limits it" is "$(cat $at/memory.max) $(cat $at/pids.max)" "67108864 21"
systemctl stop aside
holds "nothing is left" eventually gone

echo "--- without root"
user='User=nobody
Environment=HOSTCTL_STATE_DIR=/run/nobody/state HOSTCTL_RUN_DIR=/run/nobody/run
Environment=HOSTCTL_CONFIG_DIR=/run/nobody/config HOME=/run/nobody
RuntimeDirectory=nobody'
unit user "/bin/sh $apps/aside $HOSTCTL run $apps/stays/app.toml" "$user" || failed=1
holds "a unit of a user's keeps the app" matches "$at" \
    "$tree/system.slice/user.service/hostctl-stays.main.1-*"
holds "and limits it" is "$(cat $at/memory.max) $(cat $at/pids.max)" "67108864 21"
systemctl stop user
holds "nothing is left" eventually gone
refused=$(setpriv --reuid 65534 --clear-groups env HOME=/tmp "$HOSTCTL" run $apps/eats/app.toml 2>&1)
holds "elsewhere it is refused" is $? 77
holds "and told why" matches "$refused" "hostctl: limits.memory can't be enforced here: without root*"

echo "--- without systemd"
begin stays unshare --mount sh -c 'mount -t tmpfs none /run/systemd && exec "$@"' sh || failed=1
holds "the app is in the nearest cgroup without processes" matches "$at" \
    "$tree/system.slice/hostctl-stays.main.1-*"
holds "and limited" is "$(cat $at/memory.max)" 67108864
kill $pid
wait $pid
holds "nothing is left" eventually gone

exit $failed
