#!/bin/bash
# Lustre model: is a mounted client a file system? Run llmount.sh first.
#
# ONLY="0 6" runs those cases, EXCEPT="17" leaves some out. The last line is
# the verdict; the exit code is the number of failed cases.

LUSTRE=${LUSTRE:-$(cd "$(dirname "$0")/.." && pwd)}
. "$LUSTRE/tests/test-framework.sh"
init_test_env
is_mounted "$MOUNT" || die "$MOUNT is no client of the Lustre model: run llmount.sh"
DIR=$MOUNT/sanity.$$

error() {
	echo "  $*" >&2
	exit 1
}

test_0() { # create, remove
	touch "$DIR/f" || error "touch"
	[ -f "$DIR/f" ] || error "no file after touch"
	rm "$DIR/f" || error "rm"
	[ ! -e "$DIR/f" ] || error "file still there after rm"
}

test_1() { # directories
	mkdir -p "$DIR/d/e/f" || error "mkdir"
	rmdir "$DIR/d/e" 2>/dev/null && error "rmdir of a full directory worked"
	rm -r "$DIR/d" || error "rm -r"
}

test_2() { # what is written is what is read, after a new mount too
	local sum

	dd if=/dev/urandom of="$DIR/data" bs=64k count=48 status=none ||
		error "dd"
	sum=$(md5sum < "$DIR/data")
	umount "$MOUNT" || error "umount of the client"
	mount_client > /dev/null
	[ "$(md5sum < "$DIR/data")" = "$sum" ] || error "other bytes after a new mount"
	[ "$(stat -c %s "$DIR/data")" = $((48 * 65536)) ] || error "other size"
}

test_3() { # append, truncate, holes
	echo one > "$DIR/f"
	echo two >> "$DIR/f"
	[ "$(tr '\n' ' ' < "$DIR/f")" = "one two " ] || error "append"
	truncate -s 3 "$DIR/f" || error "truncate"
	[ "$(cat "$DIR/f")" = one ] || error "content after truncate"
	truncate -s 1M "$DIR/hole" || error "truncate -s 1M"
	[ "$(tr -d '\0' < "$DIR/hole" | wc -c)" = 0 ] || error "a hole is not zero"
}

test_6() { # modes and owners
	touch "$DIR/f" || error "touch"
	chmod 640 "$DIR/f" && chown 1234:4321 "$DIR/f" || error "chmod, chown"
	[ "$(stat -c %a:%u:%g "$DIR/f")" = 640:1234:4321 ] ||
		error "stat says $(stat -c %a:%u:%g "$DIR/f")"
}

test_17() { # links
	echo text > "$DIR/f"
	ln -s f "$DIR/soft" && ln "$DIR/f" "$DIR/hard" || error "ln"
	[ "$(cat "$DIR/soft")" = text ] || error "symbolic link"
	[ "$(stat -c %h "$DIR/f")" = 2 ] || error "link count"
	rm "$DIR/f"
	[ "$(cat "$DIR/hard")" = text ] || error "content is gone with one of two names"
}

test_27() { # lfs setstripe decides where a file is
	local i

	for ((i = 0; i < OSTCOUNT; i++)); do
		lfs setstripe -i $i "$DIR/f$i" || error "setstripe -i $i"
		lfs getstripe "$DIR/f$i" | grep -qx "lmm_stripe_offset: $i" ||
			error "f$i is not on OST $i"
		mkdir "$DIR/d$i" && lfs setstripe -i $i "$DIR/d$i" || error "directory"
		echo x > "$DIR/d$i/f"
		lfs getstripe "$DIR/d$i/f" | grep -qx "lmm_stripe_offset: $i" ||
			error "the directory's default was not used"
	done
	lfs setstripe -i "$OSTCOUNT" "$DIR/none" 2>/dev/null &&
		error "setstripe on an OST that does not exist worked"
	true
}

test_33() { # an open file without a name can still be used
	local back

	exec 7<> "$DIR/f" || error "open"
	rm "$DIR/f" && echo still >&7 || error "write after rm"
	echo new > "$DIR/f"
	back=$(cat /proc/self/fd/7)
	exec 7>&-
	[ "$back" = still ] || error "read back '$back'"
	[ "$(cat "$DIR/f")" = new ] || error "the new file of that name"
}

test_56() { # rename, over a file and between directories
	mkdir "$DIR/d" && echo a > "$DIR/a" && echo b > "$DIR/b" || error "setup"
	mv "$DIR/a" "$DIR/b" && [ "$(cat "$DIR/b")" = a ] || error "over a file"
	mv "$DIR/b" "$DIR/d/c" && [ "$(cat "$DIR/d/c")" = a ] || error "to a directory"
	mv "$DIR/d" "$DIR/e" && [ "$(cat "$DIR/e/c")" = a ] || error "a directory"
	[ ! -e "$DIR/a" ] && [ ! -e "$DIR/b" ] && [ ! -e "$DIR/d" ] || error "old names"
}

test_65() { # space comes back
	local before after

	sync -f "$MOUNT"
	before=$(df --output=used "$MOUNT" | tail -1)
	dd if=/dev/zero of="$DIR/big" bs=1M count=16 status=none || error "dd"
	sync -f "$DIR/big"
	sync
	[ "$(df --output=used "$MOUNT" | tail -1)" -ge $((before + 16000)) ] ||
		error "df does not see 16 MiB"
	rm "$DIR/big"
	sync
	after=$(df --output=used "$MOUNT" | tail -1)
	[ "$after" -le $((before + 1000)) ] || error "df: $before before, $after after"
}

test_102() { # attributes of users
	command -v setfattr > /dev/null || { echo "  skipped: no setfattr"; return; }
	touch "$DIR/f" && setfattr -n user.colour -v blue "$DIR/f" || error "setfattr"
	[ "$(getfattr --only-values -n user.colour "$DIR/f" 2>/dev/null)" = blue ] ||
		error "getfattr"
}

test_220() { # the tools know the model
	lctl --version | grep -q 'Lustre model' || error "lctl --version"
	[ "$(lctl get_param -n health_check)" = healthy ] || error "not healthy"
	lctl dl | grep -q "osd-ldiskfs $FSNAME-MDT0000" || error "lctl dl"
	lfs df "$MOUNT" | grep -q "^$FSNAME-OST0000_UUID" || error "lfs df"
}

ALL="0 1 2 3 6 17 27 33 56 65 102 220"
failed=0 passed=0
for n in ${ONLY:-$ALL}; do
	declare -F "test_$n" > /dev/null || die "no test $n"
	case " ${EXCEPT-} " in *" $n "*) continue ;; esac
	mkdir "$DIR" || die "mkdir $DIR"
	echo "== sanity test $n: $(sed -n "s/^test_$n() { # //p" "$0")"
	if (test_"$n"); then
		echo "PASS $n"
		passed=$((passed + 1))
	else
		echo "FAIL $n"
		failed=$((failed + 1))
	fi
	rm -rf "$DIR" || die "rm -rf $DIR"
done
echo "sanity.sh of the Lustre model: $passed passed, $failed failed"
exit $failed
