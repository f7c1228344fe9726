# Promise: where systemd runs the host, a run as root is in a scope of its own, which systemd made
# for it and leaves to it, and which is gone with it, whatever ends it.

set -u
units=/run/systemd/system
tree=/sys/fs/cgroup
failed=0
says() { echo "$1: $2"; }
holds() { # WHAT CONDITION…
    what=$1; shift
    if "$@"; then says ok "$what"; else says BROKEN "$what"; failed=1; return 1; fi
}
eventually() { # CONDITION…, within twenty seconds
    tries=200
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.1
    done
}
property() { systemctl show --value --property "$2" "$1"; }
is() { [ "$1" = "$2" ] || { echo "  it is \"$1\", not \"$2\""; return 1; }; }
matches() { case $1 in $2) ;; *) echo "  it is \"$1\""; return 1 ;; esac; }
gone() { [ "$(systemctl list-units --all --plain --no-legend 'probe-*.scope' | wc -l)" -eq 0 ] &&
    [ -z "$(find $tree -name 'probe-*.scope')" ] && ! processes; }
processes() { grep -qsx 'hostctl-scope\|scope' /proc/[0-9]*/comm; }
lives() { kill -0 "$1" 2> /dev/null; }

# Starts the program in a scope; $pid is the one that asked, $app the program in the scope.
begin() { # NAME COMMAND…
    rm -f /run/probe.out
    "$@" > /run/probe.out 2>&1 &
    pid=$!
    eventually grep -qs '^app ' /run/probe.out || { cat /run/probe.out; return 1; }
    app=$(sed -n 's/^app //p' /run/probe.out)
    unit=$(sed -n 's/^unit //p' /run/probe.out)
}

echo "--- a scope of a plain service's program"
begin "$SCOPE" probe-a sleep 1000 || exit 1
holds "its name" is "$unit" probe-a.scope
holds "it is active" is "$(property $unit ActiveState)" active
holds "it is delegated" is "$(property $unit Delegate)" yes
holds "it has no limit of its own" is "$(property $unit TasksMax)" infinity
holds "it is in the caller's slice" is "$(property $unit Slice)" system.slice
holds "it stops after the caller's unit" is "$(property $unit Before | tr ' ' '\n' |
    grep promises)" promises.service
holds "systemd marked its folder" "$SCOPE" --delegated $tree/system.slice/probe-a.scope
holds "and not the caller's" eval '! "$SCOPE" --delegated $tree/system.slice/promises.service'
holds "the app is below it" is "$(sed -n 's/^0:://p' /proc/$app/cgroup)" \
    /system.slice/probe-a.scope/app
holds "the caller is where it was" is "$(sed -n 's/^0:://p' /proc/$pid/cgroup)" \
    /system.slice/promises.service
holds "the placeholder is gone" is "$(cat $tree/system.slice/probe-a.scope/cgroup.procs)" ""
kill "$app"
wait "$pid"
holds "nothing is left after the end" eventually gone

echo "--- systemctl stop"
begin "$SCOPE" probe-b sleep 1000 || exit 1
systemctl stop "$unit"
holds "the app has ended" eval '! lives $app'
wait "$pid"
holds "nothing is left after it" eventually gone

echo "--- kill -9 of the caller, with the app in the scope"
begin "$SCOPE" probe-c sleep 1000 || exit 1
kill -9 "$pid"
wait "$pid" 2> /dev/null
holds "nothing is left of it" eventually gone

echo "--- kill -9 of the caller at any moment before"
# Timed from the start of the program on, which takes a moment of its own here.
moments="0 0.02 0.04 0.05 0.06 0.07 0.08 0.09 0.1 0.11 0.12 0.13 0.14 0.16 0.18 0.2 0.22 0.25 0.3"
for delay in $moments; do
    "$SCOPE" probe-d-$delay sleep 1000 > /run/probe.out 2>&1 &
    pid=$!
    until grep -qsx scope /proc/$pid/comm; do :; done
    sleep $delay
    kill -9 "$pid"
    wait "$pid" 2> /dev/null
    cat /run/probe.out >> /run/probe.moments
done
echo "== $(grep -c ^unit /run/probe.moments) of $(echo $moments | wc -w) were killed in their scope"
holds "nothing is left of any" eventually gone ||
    systemctl --no-pager --lines 5 status 'probe-*.scope'

echo "--- a program that ends at once, many times; two of a name"
times=
for turn in 1 2 3 4 5 6 7 8 9 10; do
    times="$times $("$SCOPE" probe-e-$turn true | sed -n 's/^took //p')"
done
echo "== a scope was started in (ms):$times"
before=$(date +%s%3N)
systemd-run --quiet --scope true
echo "== \"systemd-run --scope true\", for comparison (ms): $(($(date +%s%3N) - before))"
holds "nothing is left of them" eventually gone
begin "$SCOPE" probe-f sleep 1000 || exit 1
second=$("$SCOPE" probe-f true 2>&1)
holds "the second of a name is refused" matches "$second" \
    "scope: systemd refuses to start probe-f.scope: *(org.freedesktop.systemd1.UnitExists)"
systemctl stop "$unit"; wait "$pid"

echo "--- a session"
cat > $units/session.service <<X
[Service]
PAMName=login
User=root
ExecStart=$SCOPE probe-g sleep 1000
StandardOutput=file:/run/probe.session
X
systemctl daemon-reload
systemctl start session
eventually grep -qs '^app ' /run/probe.session || cat /run/probe.session
app=$(sed -n 's/^app //p' /run/probe.session)
holds "the app is in the user's slice" is "$(sed -n 's/^0:://p' /proc/$app/cgroup)" \
    /user.slice/user-0.slice/probe-g.scope/app
holds "the session keeps the caller" eval \
    "grep -qs session- /proc/$(sed -n 's/^pid //p' /run/probe.session)/cgroup"
systemctl stop session
holds "nothing is left after its end" eventually gone

echo "--- everything is stopped at once, as at shutdown"
cat > $units/asker.service <<X
[Service]
ExecStart=$SCOPE probe-l sleep 1000
ExecStop=sleep 3
StandardOutput=file:/run/probe.asker
X
systemctl daemon-reload
systemctl start asker
eventually grep -qs '^app ' /run/probe.asker || cat /run/probe.asker
app=$(sed -n 's/^app //p' /run/probe.asker)
systemctl --no-block stop asker.service probe-l.scope
sleep 1
holds "the app waits for its caller's unit" lives "$app"
holds "and is gone after it" eventually gone

echo "--- a unit with Delegate=yes"
delegated() {
    systemd-run --quiet --pipe --wait --collect -p Delegate=yes sh -c \
        '"$0" --delegated /sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)' "$SCOPE"
}
holds "it is known as delegated" delegated

echo "--- without systemd's own socket, by the bus"
mv /run/systemd/private /run/systemd/private.away
begin "$SCOPE" probe-h sleep 1000 || failed=1
mv /run/systemd/private.away /run/systemd/private
holds "it is started all the same" is "$(property probe-h.scope ActiveState)" active
echo "== over the bus in (ms): $(sed -n 's/^took //p' /run/probe.out)"
systemctl stop probe-h.scope; wait "$pid"

echo "--- without the bus"
systemctl --quiet stop dbus.socket dbus.service
begin "$SCOPE" probe-i sleep 1000 || failed=1
holds "it is started all the same" is "$(property probe-i.scope ActiveState)" active
systemctl stop probe-i.scope; wait "$pid"
mv /run/systemd/private /run/systemd/private.away
refused=$("$SCOPE" probe-j true 2>&1)
mv /run/systemd/private.away /run/systemd/private
holds "without both it is told" is "$refused" "scope: systemd is not reached: \
/run/systemd/private: No such file or directory (os error 2); \
/run/dbus/system_bus_socket: Connection refused (os error 111)"
systemctl --quiet start dbus.socket

echo "--- a pid namespace of one's own"
refused=$(unshare --pid --fork --mount-proc "$SCOPE" probe-k true 2>&1)
holds "is refused, not answered for another process" is "$refused" "scope: systemd runs this host, \
but process 1 here is another: its scopes can't be had from a pid namespace of its own"
holds "nothing is left at last" eventually gone

exit $failed
