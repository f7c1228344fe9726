# Runs the wanted scenarios inside the guest, one after the other, and reports on them
# (vm-tests/src/report.rs has the words). A scenario is a script that gets
#
#   $HOSTCTL, $HOSTD
#              the programs
#   $E2E, $ENFORCEMENT, $PRIVATE
#              its tests
#   $WORDS     what scenarios say in the same words, to be read by them
#   $SOURCES   where the sources are, as when they were built
#   $STAGE     1, and one more after each reboot
#
# and exits with 0 if its promise holds, or with 99 to be run again after a reboot. A line that
# begins with "== " is shown to whoever runs the tests.

export LC_ALL=C.UTF-8 HOME=/root
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
delivery=/run/delivery
progress=/var/lib/promises
again=99

export HOSTCTL=$delivery/bin/hostctl HOSTD=$delivery/bin/hostd E2E=$delivery/bin/e2e
export WORDS=$delivery/words
export ENFORCEMENT=$delivery/bin/enforcement PRIVATE=$delivery/bin/private
SOURCES=$(cat $delivery/sources-path)
export SOURCES
mkdir -p "$SOURCES" $progress
mount --bind $delivery/sources "$SOURCES"

until [ -e /dev/virtio-ports/report ]; do sleep 0.1; done
exec 3> /dev/virtio-ports/report
say() { printf '%s\n' "$*" >&3; }

# Everything else that a boot starts is out of the way first.
state=$(systemctl is-system-running --wait)
say "boot $(uname -r), systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')," \
    "$state after $(cut -d. -f1 /proc/uptime) s"

cd /root || exit 1
while read -r name; do
    [ ! -e "$progress/$name.done" ] || continue
    if [ -e "$progress/$name.running" ]; then
        say "said the guest went down in the middle of it"
        : > "$progress/$name.done"
        say "end 98"
        continue
    fi
    : > "$progress/$name.running"
    sync
    STAGE=$(($(cat "$progress/$name.stage" 2> /dev/null || echo 0) + 1))
    export STAGE
    [ $STAGE -gt 1 ] || say "begin $name"
    { timeout 1800 sh "$delivery/$name.sh" 2>&1 3>&- < /dev/null; echo $? > /run/code; } |
        while IFS= read -r line; do
            case $line in
                "== "*) say "note ${line#== }" ;;
                *) say "said $line" ;;
            esac
        done
    code=$(cat /run/code)
    rm "$progress/$name.running"
    if [ "$code" -eq $again ] && [ $STAGE -lt 5 ]; then
        echo $STAGE > "$progress/$name.stage"
        systemctl --no-block reboot
        exit 0
    fi
    : > "$progress/$name.done"
    say "end $code"
done < $delivery/wanted

say over
systemctl --no-block poweroff
