#!/bin/sh
# What the official image's entry point does, as far as docker-compose.yml needs it.
set -eu
export PGDATA=/var/lib/postgresql/data
if [ ! -s "$PGDATA/made" ]; then
    rm -rf "$PGDATA"
    mkdir -m 700 "$PGDATA"
    printf %s "$POSTGRES_PASSWORD" > /tmp/password
    initdb --username "$POSTGRES_USER" --pwfile /tmp/password --auth-local trust \
        --auth-host scram-sha-256 --encoding UTF8 --locale C.UTF-8
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -D "$PGDATA" postgres
    echo yes > "$PGDATA/made"
fi
exec postgres -c 'listen_addresses=*' -c unix_socket_directories=/tmp
