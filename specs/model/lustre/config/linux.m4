# Which kernel do we build for?

# LM_LINUX
# Sets LINUX (source), LINUX_OBJ (configured tree), LINUXRELEASE, moduledir.
AC_DEFUN([LM_LINUX], [
AC_ARG_WITH([linux],
	[AS_HELP_STRING([--with-linux=DIR], [kernel source or kernel-devel tree])],
	[LINUX=$(readlink -f "$withval")],
	[LINUX=$(readlink -f "/lib/modules/$(uname -r)/build")])
AC_ARG_WITH([linux-obj],
	[AS_HELP_STRING([--with-linux-obj=DIR], [configured kernel tree, if it is another])],
	[LINUX_OBJ=$(readlink -f "$withval")],
	[LINUX_OBJ=$LINUX])
AC_ARG_WITH([kmp-moddir],
	[AS_HELP_STRING([--with-kmp-moddir=DIR], [modules go to /lib/modules/VERSION/DIR (default: extra/lustre)])],
	[KMP_MODDIR=$withval],
	[KMP_MODDIR=extra/lustre])

AC_MSG_CHECKING([for a kernel tree])
AS_IF([test ! -r "$LINUX/Makefile"], [
	AC_MSG_RESULT([no])
	AC_MSG_ERROR([no kernel tree in '$LINUX': install kernel-devel, or give --with-linux=DIR])
])
AC_MSG_RESULT([$LINUX])

AC_MSG_CHECKING([for the release of that kernel])
LINUXRELEASE=
AS_IF([test -r "$LINUX_OBJ/include/generated/utsrelease.h"],
	[LINUXRELEASE=$(sed -n 's/^#define UTS_RELEASE "\(.*\)"$/\1/p' "$LINUX_OBJ/include/generated/utsrelease.h")])
AS_IF([test -z "$LINUXRELEASE"], [
	AC_MSG_RESULT([none])
	AC_MSG_ERROR([$LINUX_OBJ/include/generated/utsrelease.h names no release: is the tree prepared (make modules_prepare)?])
])
AC_MSG_RESULT([$LINUXRELEASE])

AC_MSG_CHECKING([for the model's kernel patches])
AS_IF([test -r "$LINUX/include/linux/fs_query.h"],
	[AC_MSG_RESULT([yes])],
	[AC_MSG_RESULT([no])
	AC_MSG_ERROR([$LINUX lacks include/linux/fs_query.h: apply lustre/kernel_patches/series to the kernel and build it])])

AC_MSG_CHECKING([for symbol versions])
AS_IF([grep -q '^CONFIG_MODVERSIONS=y' "$LINUX_OBJ/include/config/auto.conf" 2>/dev/null &&
	test -s "$LINUX_OBJ/Module.symvers"],
	[AC_MSG_RESULT([yes])],
	[AC_MSG_RESULT([no])
	AC_MSG_WARN([without CONFIG_MODVERSIONS and Module.symvers the modules cannot be tied to their kernel])])

moduledir=/lib/modules/$LINUXRELEASE/$KMP_MODDIR
AC_SUBST([LINUX])
AC_SUBST([LINUX_OBJ])
AC_SUBST([LINUXRELEASE])
AC_SUBST([KMP_MODDIR])
AC_SUBST([moduledir])
])
