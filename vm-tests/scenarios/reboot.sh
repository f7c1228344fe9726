# Promise: a reboot voids every lease, and leaves an app its uid and its data.

set -u
app=/root/keeper
broken() { echo "BROKEN: $*"; exit 1; }
leases() { "$HOSTCTL" lease ls; }

case $STAGE in
1)
    mkdir $app
    cat > $app/app.toml <<'X'
name = "keeper"
run = "sh main.sh"
port = 8080
[access]
write = ["data:/srv/keeper"]
X
    cat > $app/main.sh <<'X'
echo "kept since $(cat /srv/keeper/mark 2> /dev/null || echo now), uid $(id -u)"
[ -e /srv/keeper/mark ] || echo boot 1 > /srv/keeper/mark
exec sleep 1000
X
    (cd $app && exec "$HOSTCTL" run app.toml) > $app/first 2>&1 &
    until grep -qs kept $app/first; do sleep 0.2; kill -0 $! || { cat $app/first; exit 1; }; done
    leases | tee $app/leases
    grep -q 8080 $app/leases || broken "the port is no lease"
    cat /proc/sys/kernel/random/boot_id > $app/boot
    sync
    exit 99
    ;;
2)
    ! cmp -s /proc/sys/kernel/random/boot_id $app/boot || broken "there was no reboot"
    leases > $app/leases
    cat $app/leases
    ! grep -q 8080 $app/leases || broken "a lease of the boot before is still held"
    (cd $app && exec "$HOSTCTL" run app.toml) > $app/second 2>&1 &
    until grep -qs kept $app/second; do sleep 0.2; kill -0 $! || { cat $app/second; exit 1; }; done
    kill $!; wait $!
    cat $app/first $app/second
    uid=$(sed -n 's/.*kept since now, uid //p' $app/first)
    [ -n "$uid" ] || broken "the first run said nothing"
    grep -q "kept since boot 1, uid $uid\$" $app/second || broken "the data or the uid is another"
    ;;
esac
