# Can ldiskfs be made from this kernel's ext4?

# LM_LDISKFS_SERIES
# The series for the kernel's version. LDISKFS_SERIES in the environment wins.
AC_DEFUN([LM_LDISKFS_SERIES], [
AC_MSG_CHECKING([which ldiskfs series to use])
AS_IF([test -z "$LDISKFS_SERIES"], [
	AS_CASE([$LINUXRELEASE],
		[6.1.*], [LDISKFS_SERIES=6.1-rehearsal.series])
])
AS_IF([test -n "$LDISKFS_SERIES" &&
	test -r "$srcdir/ldiskfs/kernel_patches/series/ldiskfs-$LDISKFS_SERIES"],
	[AC_MSG_RESULT([$LDISKFS_SERIES])],
	[AC_MSG_RESULT([none])
	AC_MSG_WARN([no ldiskfs series for kernel $LINUXRELEASE])
	enable_ldiskfs=no])
AC_SUBST([LDISKFS_SERIES])
])

# LM_LDISKFS
# As with the real tree, a kernel without ext4 source is no error: ldiskfs is
# left out with a warning. Whoever needs it has to look at the result.
AC_DEFUN([LM_LDISKFS], [
AS_IF([test x$enable_ldiskfs = xyes], [
	AC_MSG_CHECKING([for the ext4 source of the kernel])
	EXT4_SRC_DIR=
	AS_IF([test -r "$LINUX/fs/ext4/super.c" && test -r "$LINUX/fs/ext4/ext4.h" &&
		test -r "$LINUX/include/trace/events/ext4.h"],
		[EXT4_SRC_DIR=$LINUX/fs/ext4
		AC_MSG_RESULT([$EXT4_SRC_DIR])],
		[AC_MSG_RESULT([no])
		AC_MSG_WARN([

Disabling ldiskfs: $LINUX/fs/ext4 is missing or incomplete.
The kernel-devel package has to carry the source of ext4.
])
		enable_ldiskfs=no])
])
AS_IF([test x$enable_ldiskfs = xyes], [LM_LDISKFS_SERIES])
AS_IF([test x$enable_ldiskfs = xyes], [
	AC_PATH_PROG([PATCH], [patch])
	AS_IF([test -z "$PATCH"], [AC_MSG_ERROR([patch is missing: install it])])
])
AC_SUBST([EXT4_SRC_DIR])
])
