#!/bin/sh
# Creates the database cluster at the first start, then becomes the server.
set -eu
cluster=$DATA_DIR/cluster

# An existing cluster opens only with the version that made it; a new one takes the newest installed.
if [ -f "$cluster/PG_VERSION" ]; then
    bin=/usr/lib/postgresql/$(cat "$cluster/PG_VERSION")/bin
else
    newest=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
    bin=${newest%/initdb}
fi

if [ ! -d "$cluster" ]; then
    # Built beside its final name: a start that is interrupted here begins anew the next time.
    rm -rf "$cluster.new"
    (umask 077 && printf '%s\n' "$POSTGRES_PASSWORD" > /tmp/password)
    "$bin/initdb" -D "$cluster.new" -U postgres -A scram-sha-256 --pwfile=/tmp/password \
        -E UTF8 --locale=C.UTF-8
    rm /tmp/password
    mv "$cluster.new" "$cluster"
fi
exec "$bin/postgres" -D "$cluster" -p "$PORT" -h 127.0.0.1 -k /tmp
