# LM_UTILS
# Libraries of the user programs.
AC_DEFUN([LM_UTILS], [
AC_ARG_WITH([ldiskfsprogs], [], [AC_MSG_WARN([the model knows e2fsprogs under its own name only])])
AS_IF([test x$enable_utils = xyes && test x$enable_ldiskfs = xyes], [
	PKG_CHECK_MODULES([EXT2FS], [ext2fs >= 1.44.3 com_err], [],
		[AC_MSG_ERROR([libext2fs is missing: install e2fsprogs-devel])])
])
])

# LM_RPM
# The options that make `rpmbuild` on our spec file do what configure was told.
AC_DEFUN([LM_RPM], [
AC_PATH_PROG([RPMBUILD], [rpmbuild])
RPMBUILD_BINARY_ARGS=
AS_IF([test -n "$LINUX"],
	[RPMBUILD_BINARY_ARGS="--define \"kdir $LINUX\" --define \"kobjdir $LINUX_OBJ\""])
AS_IF([test x$enable_modules = xno],
	[RPMBUILD_BINARY_ARGS="$RPMBUILD_BINARY_ARGS --without lustre_modules"])
AS_IF([test x$enable_tests = xno],
	[RPMBUILD_BINARY_ARGS="$RPMBUILD_BINARY_ARGS --without lustre_tests"])
AS_IF([test x$enable_utils = xno],
	[RPMBUILD_BINARY_ARGS="$RPMBUILD_BINARY_ARGS --without lustre_utils"])
AS_IF([test x$enable_iokit = xno],
	[RPMBUILD_BINARY_ARGS="$RPMBUILD_BINARY_ARGS --without lustre_iokit"])
AS_IF([test x$enable_server = xno],
	[RPMBUILD_BINARY_ARGS="$RPMBUILD_BINARY_ARGS --without servers"])
AS_IF([test x$enable_ldiskfs = xno],
	[RPMBUILD_BINARY_ARGS="$RPMBUILD_BINARY_ARGS --without ldiskfs"])
AC_SUBST([RPMBUILD_BINARY_ARGS])
])
