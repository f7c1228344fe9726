# Promise: where systemd runs the host, the app of a run as root is in a scope of its own, which
# systemd made for it and leaves to it, and which is gone with it, whatever ends it.

set -u
. "$WORDS"
units=/run/systemd/system
tree=/sys/fs/cgroup
apps=/root/apps
property() { systemctl show --value --property "$2" "$1"; }
cgroup() { sed -n 's/^0:://p' "/proc/$1/cgroup"; }
scopes() { find $tree -type d -name 'hostctl-probe.*' 2> /dev/null; }
gone() { [ "$(systemctl list-units --all --plain --no-legend 'hostctl-*.scope' | wc -l)" -eq 0 ] &&
    [ -z "$(scopes)" ] && ! processes && [ -z "$("$HOSTCTL" lease ls --all)" ]; }
processes() { grep -qsx 'hostctl\|hostctl-init\|hostctl-scope' /proc/[0-9]*/comm; }
lives() { kill -0 "$1" 2> /dev/null; }

# An app that says when it is up: NAME PROGRAM.
app() {
    mkdir -p $apps/$1
    printf 'name = "probe"\nrun = "sh main.sh"\n[access]\nnetwork = "host"\nconnect = ["%s"]\n' \
        '127.0.0.1:7001' > $apps/$1/app.toml
    printf '%s\n' "$2" > $apps/$1/main.sh
}
app stays 'echo up; sleep 1000 & wait'
app ends 'exit 0'
stays="$HOSTCTL run $apps/stays/app.toml"
ends="$HOSTCTL run --quiet $apps/ends/app.toml"

# Starts a run: $pid is hostctl, $unit the scope of its app, $program a process in that.
begin() { # COMMAND…
    : > /run/probe.out
    "$@" > /run/probe.out 2>&1 &
    pid=$!
    found
}
found() {
    eventually grep -qs '^up' /run/probe.out || { cat /run/probe.out; return 1; }
    folder=$(find $tree -type d -name 'hostctl-probe.*.scope' | head -n 1)
    unit=$(basename "$folder")
    program=$(tail -n 1 "$folder"/*/cgroup.procs)
}

echo "--- a scope of a plain service's program"
begin $stays || exit 1
holds "its name" is "$unit" hostctl-probe.main.1-$pid.scope
holds "systemctl knows it" is "$(property $unit Description)" "hostctl run: probe.main.1"
holds "it is active" is "$(property $unit ActiveState)" active
holds "it is delegated" is "$(property $unit Delegate)" yes
holds "it has no limit of its own" is "$(property $unit TasksMax)" infinity
holds "it is in the caller's slice" is "$(property $unit Slice)" system.slice
holds "it stops after the caller's unit" is "$(property $unit Before | tr ' ' '\n' |
    grep promises)" promises.service
holds "the app is below it" matches "$(cgroup $program)" \
    "/system.slice/$unit/hostctl-probe.main.1-$pid-*"
holds "the caller is where it was" is "$(cgroup $pid)" /system.slice/promises.service
holds "the placeholder is gone" is "$(cat $folder/cgroup.procs)" ""
kill $pid
wait $pid
holds "it ended by what its caller was sent" is $? 143
holds "nothing is left after the end" eventually gone

echo "--- systemctl stop"
begin $stays || exit 1
systemctl stop "$unit"
holds "the app has ended" eval '! lives $program'
wait $pid
holds "hostctl ends as the app did" is $? 143
holds "and says so" grep -q SIGTERM /run/probe.out
cat /run/probe.out
holds "nothing is left after it" eventually gone

echo "--- kill -9 of the caller, with the app in the scope"
begin $stays || exit 1
kill -9 $pid
wait $pid 2> /dev/null
holds "nothing is left of it" eventually gone

echo "--- how long a start takes, with a scope and without"
# Medians in milliseconds of the same run, the scope aside: what a delegated unit needs none for.
cat > /run/probe.times <<'TIMES'
times=
for turn in 1 2 3 4 5 6 7 8 9; do
    before=$(date +%s%3N)
    "$@" || exit 1
    times="$times $(($(date +%s%3N) - before))"
done
printf '%s\n' $times | sort -n | sed -n 5p
TIMES
with=$(sh /run/probe.times $ends)
without=$(systemd-run --quiet --pipe --wait --collect -p Delegate=yes sh /run/probe.times $ends)
other=$(sh /run/probe.times systemd-run --quiet --scope true)
echo "== a run takes $with ms with a scope, $without ms without;" \
    "\"systemd-run --scope true\" $other ms"
holds "both were timed" [ "$with" -gt 0 -a "$without" -gt 0 ]
holds "nothing is left of them" eventually gone

echo "--- kill -9 of the caller at any moment before"
killed=0
for part in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
    $stays > /run/probe.out 2>&1 &
    pid=$!
    until grep -qsx hostctl /proc/$pid/comm; do :; done
    sleep "$(printf '%d.%03d' $((with * part / 20000)) $((with * part / 20 % 1000)))"
    ! [ -d $tree/system.slice/hostctl-probe.main.1-$pid.scope ] || killed=$((killed + 1))
    kill -9 $pid
    wait $pid 2> /dev/null
done
echo "== $killed of 20 were killed in their scope"
holds "some were, and some before" [ $killed -gt 0 -a $killed -lt 20 ]
holds "nothing is left of any" eventually gone ||
    systemctl --no-pager --lines 5 status 'hostctl-*.scope'

echo "--- a session"
cat > $units/session.service <<X
[Service]
PAMName=login
User=root
ExecStart=$stays
StandardOutput=file:/run/probe.out
X
systemctl daemon-reload
: > /run/probe.out
systemctl start session
holds "it starts" found
holds "the app is in the user's slice" matches "$(cgroup $program)" \
    "/user.slice/user-0.slice/$unit/*"
pid=$(echo "$unit" | sed 's/.*-\(.*\).scope/\1/')
holds "the session keeps the caller" matches "$(cgroup $pid)" "*/session-*.scope"
systemctl stop session
holds "nothing is left after its end" eventually gone

echo "--- everything is stopped at once, as at shutdown"
cat > $units/asker.service <<X
[Service]
ExecStart=$stays
ExecStop=sleep 3
StandardOutput=file:/run/probe.out
X
systemctl daemon-reload
: > /run/probe.out
systemctl start asker
holds "it starts" found
systemctl --no-block stop asker.service "$unit"
sleep 1
holds "the app waits for its caller's unit" lives "$program"
holds "and is gone after it" eventually gone

echo "--- a unit with Delegate=yes"
cat > $units/delegated.service <<X
[Service]
ExecStart=$stays
Delegate=yes
StandardOutput=file:/run/probe.out
X
systemctl daemon-reload
: > /run/probe.out
systemctl start delegated
eventually grep -qs '^up' /run/probe.out || cat /run/probe.out
holds "it gets no scope" is "$(find $tree -name 'hostctl-*.scope')" ""
holds "the app is in the unit" is "$(scopes | sed 's/\(main.1\).*/\1/')" \
    $tree/system.slice/delegated.service/hostctl-probe.main.1
systemctl stop delegated
holds "nothing is left after its end" eventually gone

echo "--- without systemd's own socket, by the bus"
mv /run/systemd/private /run/systemd/private.away
begin $stays || failed=1
mv /run/systemd/private.away /run/systemd/private
holds "it is started all the same" is "$(property "$unit" ActiveState)" active
kill $pid
wait $pid

echo "--- without the bus"
systemctl --quiet stop dbus.socket dbus.service
begin $stays || failed=1
holds "it is started all the same" is "$(property "$unit" ActiveState)" active
kill $pid
wait $pid
mv /run/systemd/private /run/systemd/private.away
refused=$($ends 2>&1)
code=$?
mv /run/systemd/private.away /run/systemd/private
holds "without both it is told" is "$refused" "hostctl: systemd is not reached: \
/run/systemd/private: No such file or directory (os error 2); \
/run/dbus/system_bus_socket: Connection refused (os error 111)"
holds "and nothing is started" is $code 69
systemctl --quiet start dbus.socket

echo "--- a pid namespace of one's own"
refused=$(unshare --pid --fork --mount-proc $ends 2>&1)
holds "is refused, not answered for another process" is "$refused" "hostctl: systemd runs this \
host, but process 1 here is another: its scopes can't be had from a pid namespace of its own"
holds "nothing is left at last" eventually gone

exit $failed
