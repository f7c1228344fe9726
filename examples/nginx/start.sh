#!/bin/sh
# nginx's configuration cannot read the environment, so the port is written into a copy of it.
set -eu
sed "s|@PORT@|$PORT|; s|@SITE@|$PWD/site|" nginx.conf > "$DATA_DIR/nginx.conf"
exec nginx -p "$DATA_DIR" -c nginx.conf -e stderr -g "daemon off;"
