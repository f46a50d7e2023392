#!/bin/bash
# Lustre model: format targets on files, start them, mount a client.

usage() {
	cat <<END
Usage: ${0##*/} [options]        (Lustre model)
	-S, --server-only   start the targets, mount no client
	-n, --no-format     keep the targets as they are
	-s, --skip-setup    format only
	-l, --load-modules  load the modules only
	-h, --help
Variables: MDSSIZE, OSTSIZE (KiB), OSTCOUNT, FSNAME, MOUNT; see cfg/local.sh.
END
}

format=yes setup=yes load= client=yes
for arg in "$@"; do
	case $arg in
	-S|--server-only)	client= ;;
	-n|--no-format)		format= ;;
	-s|--skip-setup)	setup= ;;
	-l|--load-modules)	load=yes ;;
	-h|--help)		usage; exit 0 ;;
	*)			usage >&2; exit 2 ;;
	esac
done
[ -z "$NOFORMAT" ] || format=
[ -z "$NOSETUP" ] || setup=

LUSTRE=${LUSTRE:-$(cd "$(dirname "$0")/.." && pwd)}
. "$LUSTRE/tests/test-framework.sh"
init_test_env

if [ "$load" ]; then
	load_modules
	exit
fi
[ -z "$format" ] || formatall
[ -z "$setup" ] || setupall "$([ "$client" ] || echo server_only)"
