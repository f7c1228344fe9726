# Promise: what apps of hostd say is in their logs, each line once and in order, and in the host's
# journal, whatever is killed or started anew meanwhile; a crash is told; a reboot keeps all of it.

set -u
. "$WORDS"
apps=/root/apps

app() { # NAME PROGRAM MANIFEST
    mkdir -p "$apps/$1"
    printf 'name = "%s"\nrun = "python3 main.py"\n%s\n' "$1" "$3" > "$apps/$1/app.toml"
    printf '%s\n' "$2" > "$apps/$1/main.py"
    chmod -R a+rX /root
}

# The bodies that an app's log has, and those that the journal has of it.
kept() { hostctl logs "$1" --raw; }
journal() { journalctl -q -o cat --output-fields=MESSAGE "HOSTCTL_APP=$1"; }
numbers() { grep -x 'line [0-9]*' | cut -d ' ' -f 2; }
counted() { # COMMAND…: the lines of the app that counts are there, each once, in order
    "$@" | numbers > /run/found
    cmp -s /run/found /run/wanted
}
loggers() { # the numbers of the processes that collect
    for process in /proc/[0-9]*; do
        ! grep -qsx hostctl-logger "$process/comm" || echo "${process#/proc/}"
    done
}

first() {
    install -m 755 "$HOSTCTL" "$HOSTD" /usr/bin/
    install -m 644 "$SOURCES/packaging/hostd.service" /etc/systemd/system/
    systemctl daemon-reload
    systemctl --quiet enable --now hostd || { journalctl -u hostd; exit 1; }

    echo "--- to the journal, while processes are killed"
    app counts 'import sys, time
for number in range(1, 3001):
    print("line", number, flush=True)
    time.sleep(0.005)
time.sleep(1 << 20)' '[logs]
sinks = ["journal"]'
    seq 3000 > /run/wanted
    holds "it is deployed" hostctl deploy --wait $apps/counts
    for try in 1 2 3 4 5; do
        for logger in $(loggers); do kill -KILL "$logger"; done
        sleep 1
    done
    systemctl restart systemd-journald
    systemctl kill -s KILL hostd
    sleep 1
    for logger in $(loggers); do kill -KILL "$logger"; done
    holds "its log has each line once, in order" eventually counted kept counts ||
        { diff /run/found /run/wanted | head; hostctl sinks ls; }
    # A batch that was on its way when its sender was killed comes again, and it can't be asked for.
    firsts() { journal counts | awk '!seen[$0]++'; }
    holds "and so has the journal, but for what came again" eventually counted firsts ||
        { diff /run/found /run/wanted | head; hostctl sinks ls; }

    echo "--- levels, fields, traces, and programs that speak to the journal"
    app speaks 'import json, socket, sys, syslog, time
print(json.dumps({"level": "warn", "msg": "disk is filling", "free": 7}), flush=True)
syslog.openlog("speaker")
syslog.syslog(syslog.LOG_ERR, "by syslog")
native = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
native.sendto(b"MESSAGE=by the journal\nPRIORITY=4\nORDER=12\n", "/run/systemd/journal/socket")
def fails():
    raise ValueError("a number was expected")
try:
    fails()
except ValueError:
    import traceback
    traceback.print_exc()
sys.stderr.flush()
time.sleep(1 << 20)' '[logs]
sinks = [{ to = "journal", when = "level>=warn" }]'
    holds "it is deployed" hostctl deploy --wait $apps/speaks
    has() { [ "$(journalctl -q -o cat "HOSTCTL_APP=speaks" "$@" | wc -l)" -eq 1 ]; }
    holds "a field of its is the level" eventually has PRIORITY=4 MESSAGE="disk is filling"
    holds "what it says by syslog is there" eventually has PRIORITY=3 MESSAGE="by syslog"
    holds "and what it says as to the journal" eventually has PRIORITY=4 MESSAGE="by the journal"
    traced() { hostctl tracebacks speaks | grep -q ValueError; }
    holds "a stack trace is one record" eventually traced
    holds "with every line of it" matches "$(hostctl logs speaks --json --grep ValueError)" \
        "*Traceback (most recent call last)*fails()*a number was expected*"

    echo "--- a crash"
    app falls 'import os, signal, time
print("about to fall", flush=True)
time.sleep(1)
os.kill(os.getpid(), signal.SIGSEGV)' ''
    hostctl deploy $apps/falls
    fell() { hostctl tracebacks falls | grep -q SIGSEGV; }
    holds "it is a group of its own" eventually fell || hostctl logs falls
    group=$(hostctl tracebacks falls | sed -n '/SIGSEGV/s/ .*//p')
    holds "with its last lines" matches "$(hostctl tracebacks falls --show "$group")" \
        "*about to fall*"
    hostctl remove falls
    [ $failed -eq 0 ] || { hostctl sinks ls; journalctl -q -u hostd -o cat | tail -n 40; exit 1; }
    exit 99
}

second() {
    echo "--- after a reboot"
    seq 3000 > /run/once
    cat /run/once /run/once > /run/wanted
    holds "the log has both boots" eventually counted kept counts ||
        diff /run/found /run/wanted | head
    boots() { hostctl logs counts --json | grep -o '"boot_id":"[^"]*"' | sort -u | wc -l; }
    holds "and tells them apart" is "$(boots)" 2
}

# The scenarios after this one find the guest as it was.
leave() {
    for name in counts speaks falls; do hostctl remove $name > /dev/null 2>&1; done
    none() { ! grep -qsx 'hostctl-keeper\|hostctl-logger' /proc/[0-9]*/comm; }
    eventually none
    systemctl --quiet disable --now hostd
    rm -rf /var/lib/hostctl /run/hostctl /etc/hostctl /usr/bin/hostctl /usr/bin/hostd \
        /etc/systemd/system/hostd.service
    systemctl daemon-reload
}
trap '[ $? -eq 99 ] || leave' EXIT

case $STAGE in
1) first ;;
2) second ;;
esac
exit $failed
