#!/bin/bash
# The first process of the backend's namespaces, in its root. Standard output is the socket on which the test connects; standard input ends
# when the test does, and then this ends, and with it all that runs here.
set -eu
exec 3>&1 1>&2

readonly SOURCES=http://127.0.0.1:5352 REPOSITORIES=http://127.0.0.1:5252 LOGS=/srv/obs/log
declare -A servers

# start NAME COMMAND...: in the background, with a log of its own.
start() {
    local name=$1
    shift
    "$@" >"$LOGS/$name.log" 2>&1 3>&- </dev/null &
    servers[$name]=$!
}

# Ends with an error where a server has ended.
all_run() {
    local name
    for name in "${!servers[@]}"; do
        if ! kill -0 "${servers[$name]}" 2>/dev/null; then
            echo "$name has ended" >&2
            exit 1
        fi
    done
}

wait_for() {
    until (exec 4<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
        all_run
        sleep 0.1
    done
}

put() {
    curl --fail --silent --show-error --request PUT --header 'Content-Type: application/octet-stream' --data-binary "@$2" \
        --output /dev/null "$SOURCES/source/$1"
}

ip link set lo up
hostname obs
mkdir -p "$LOGS" /srv/obs/run /srv/obs/build
chown -R obsrun:obsrun /srv/obs

cd /usr/lib/obs/server
start sources ./bs_srcserver
start repositories ./bs_repserver
wait_for 5352
wait_for 5252
# The distribution's packages are in place: the scheduler reads them when it starts.
put "$1/_meta" /srv/in/base.xml
put "$1/_config" /srv/in/base.conf
start scheduler ./bs_sched "$2"
start dispatcher ./bs_dispatch
start publisher ./bs_publish
start warden ./bs_warden

mkdir -p /srv/worker/boot /srv/worker/state /srv/worker/root
cd /srv/worker/boot
curl --fail --silent --show-error "$REPOSITORIES/getworkercode" | cpio --extract --quiet
ln -s . XML
chmod 755 bs_worker
start worker ./bs_worker --root /srv/worker/root --statedir /srv/worker/state --id obs:1 --port 5401 --jobs "$(nproc)" --arch "$2" \
    --reposerver "$REPOSITORIES" --srcserver "$SOURCES"
perl /srv/in/relay.pl 3 >"$LOGS/relay.log" 2>&1 </dev/null &
servers[relay]=$!
exec 3>&-
touch /srv/ready

# Nothing is ever said to it: either a second is over, or the other end is closed.
while true; do
    all_run
    status=0
    read -r -t 1 _ || status=$?
    if [ "$status" -le 128 ]; then exit 0; fi
done
