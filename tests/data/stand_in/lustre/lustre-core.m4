# Two tests of the kernel with the shape of Lustre's: each begins with the headers that it needs. What the answers decide
# is no part of the model, so configure does not ask.

# LM_SRC_POSIX_ACL
AC_DEFUN([LM_SRC_POSIX_ACL], [
	LB2_LINUX_TEST_SRC([set_posix_acl_user_ns], [
		#include <linux/posix_acl.h>
	],[
		set_posix_acl((struct user_namespace *)NULL, NULL, 0, NULL);
	])
	LB2_LINUX_TEST_SRC([posix_acl_type], [
		#include <linux/posix_acl.h>
	],[
		(void)posix_acl_type("");
	])
])
