# Lustre model: functions of llmount.sh, llmountcleanup.sh and sanity.sh.
# Sourced by bash.

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

init_test_env() {
	local config=${CONFIG:-$LUSTRE/tests/cfg/${NAME:-local}.sh}

	[ "$(id -u)" = 0 ] || die "must be run as root"
	[ -r "$config" ] || die "no configuration $config"
	. "$config"
	[ "$MDSCOUNT" = 1 ] || die "MDSCOUNT=$MDSCOUNT: the Lustre model has one MDT"
	PATH=$PATH:/sbin:/usr/sbin
}

is_mounted() {
	grep -q " $1 lustre[_a-z]* " /proc/mounts
}

load_modules() {
	local module

	echo "Loading modules of the Lustre model"
	for module in osd_ldiskfs lustre; do
		modprobe "$module" || die "modprobe $module failed: are the kmod packages installed for $(uname -r)?"
	done
}

unload_modules() {
	local module

	for module in lustre osd_ldiskfs ldiskfs obdclass libcfs; do
		[ ! -d "/sys/module/$module" ] || modprobe -r "$module" ||
			echo "modprobe -r $module failed" >&2
	done
}

format() { # NAME DEVICE OPTIONS...
	local name=$1 device=$2 log

	shift 2
	echo "Format $name: $device"
	log=$(mkfs.lustre --fsname="$FSNAME" --reformat "$@" "$device" 2>&1) || {
		echo "$log" >&2
		die "mkfs.lustre failed on $device"
	}
}

formatall() {
	local i

	cleanup_mounts
	echo "Formatting mgs, mds, osts (Lustre model)"
	format mds1 "${MDSDEVBASE}1" --mgs --mdt --index=0 --device-size="$MDSSIZE"
	for ((i = 1; i <= OSTCOUNT; i++)); do
		format "ost$i" "${OSTDEVBASE}$i" --ost --index=$((i - 1)) \
			--mgsnode="$MGSNID" --device-size="$OSTSIZE"
	done
}

start() { # NAME DEVICE DIRECTORY LABEL
	echo "Starting $1: $2 $3"
	mkdir -p "$3"
	mount -t lustre "$2" "$3" || die "cannot start $1 from $2"
	is_mounted "$3" || die "$1: mount says it worked, but $3 is no target"
	echo "Started $4"
}

setupall() { # [server_only]
	local i

	load_modules
	echo "Setup mgs, mdt, osts"
	start mds1 "${MDSDEVBASE}1" "${MDSMOUNTBASE}1" "$FSNAME-MDT0000"
	for ((i = 1; i <= OSTCOUNT; i++)); do
		start "ost$i" "${OSTDEVBASE}$i" "${OSTMOUNTBASE}$i" \
			"$(printf '%s-OST%04x' "$FSNAME" $((i - 1)))"
	done
	[ "$1" = server_only ] || mount_client
}

mount_client() {
	echo "Starting client: $(hostname): -o $MOUNTOPT $MGSNID:/$FSNAME $MOUNT"
	mkdir -p "$MOUNT"
	mount -t lustre -o "$MOUNTOPT" "$MGSNID:/$FSNAME" "$MOUNT" ||
		die "cannot mount the client"
	is_mounted "$MOUNT" || die "$MOUNT is not mounted after mount said so"
}

stop() { # NAME DIRECTORY [OPTIONS]
	is_mounted "$2" || return 0
	echo "Stopping $1: $2"
	umount $3 "$2"
}

# Clients first. Not being mounted is no error, staying mounted is.
cleanup_mounts() {
	local dir rc=0

	stop client "$MOUNT" "$1" || rc=1
	for dir in "$OSTMOUNTBASE"[0-9]* "$MDSMOUNTBASE"[0-9]*; do
		[ ! -d "$dir" ] || stop "${dir##*-}" "$dir" "$1" || rc=1
	done
	return $rc
}

cleanupall() {
	cleanup_mounts "$1" || die "something is still mounted"
	unload_modules
	echo "modules unloaded."
}
