#!/bin/sh
# Make ldiskfs from the kernel's ext4.
#
#   make-sources.sh EXT4DIR TRACEDIR SERIES
#
# EXT4DIR is the kernel's fs/ext4, TRACEDIR its include/trace/events, SERIES a
# file in kernel_patches/series. Run in the ldiskfs directory. The result is
# there: renamed sources and a Kbuild made from ext4's own Makefile.
set -e

ext4=$1
trace=$2
series=$3
stage=linux-stage

die() {
	echo "ldiskfs: $*" >&2
	exit 1
}

[ -r "$ext4/super.c" ] && [ -r "$ext4/Makefile" ] ||
	die "no ext4 source in $ext4"
[ -r "$trace/ext4.h" ] || die "no $trace/ext4.h"
[ -r "$series" ] || die "no series $series"

rm -rf $stage trace Kbuild ./*.c ./*.h
mkdir -p $stage/fs/ext4 $stage/include/trace/events trace/events
cp "$ext4"/*.[ch] "$ext4"/Makefile $stage/fs/ext4/
rm -f $stage/fs/ext4/inode-test.c $stage/fs/ext4/*.mod.c
cp "$trace/ext4.h" $stage/include/trace/events/

printf 'Applying ext4 patches:'
while read -r name _; do
	case $name in ''|'#'*) continue ;; esac
	printf ' %s' "$name"
	patch -d $stage -p1 -s -f --no-backup-if-mismatch \
		< "kernel_patches/patches/$name" ||
		{ echo; die "$name of $series does not apply to $ext4"; }
done < "$series"
echo

# Every name of ext4 becomes one of ldiskfs, so that both can be loaded. The
# magic number keeps its name: it is in a header of the kernel.
rename() {
	sed -e 's/EXT4/LDISKFS/g' -e 's/Ext4/Ldiskfs/g' -e 's/ext4/ldiskfs/g' \
	    -e 's/LDISKFS_SUPER_MAGIC/EXT4_SUPER_MAGIC/g' "$1"
}

for file in $stage/fs/ext4/*.[ch]; do
	rename "$file" > "$(basename "$file" | sed 's/ext4/ldiskfs/')"
done
rename $stage/include/trace/events/ext4.h > trace/events/ldiskfs.h

{
	echo '# Made by make-sources.sh from the Makefile of ext4.'
	echo 'CONFIG_LDISKFS_FS := m'
	echo 'CONFIG_LDISKFS_FS_POSIX_ACL := $(CONFIG_EXT4_FS_POSIX_ACL)'
	echo 'CONFIG_LDISKFS_FS_SECURITY := $(CONFIG_EXT4_FS_SECURITY)'
	echo 'ccflags-y += -I$(src)'
	echo 'ccflags-$(CONFIG_LDISKFS_FS_POSIX_ACL) += -DCONFIG_LDISKFS_FS_POSIX_ACL=1'
	echo 'ccflags-$(CONFIG_LDISKFS_FS_SECURITY) += -DCONFIG_LDISKFS_FS_SECURITY=1'
	rename $stage/fs/ext4/Makefile
} > Kbuild.tmp
mv Kbuild.tmp Kbuild
