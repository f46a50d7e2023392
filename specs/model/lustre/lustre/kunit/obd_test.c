// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lustre model: tests that run inside the kernel. Loading the module runs
 * them; it refuses to load when one fails. It is of no other use.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/string.h>
#include <lustre_ver.h>
#include <obd_class.h>

#define EXPECT(cond) do {						\
	if (!(cond)) {							\
		pr_err("Lustre model: obd_test: line %d: %s\n",		\
		       __LINE__, #cond);				\
		return -EINVAL;						\
	}								\
} while (0)

static int __init test_names(void)
{
	static const char * const good[] = {
		"lustre-MDT0000", "a-OST000f", "fsname_8-OSTffff", "MGS",
	};
	static const char * const bad[] = {
		"", "lustre", "lustre-MDT", "lustre-MDT00000", "-MDT0000",
		"toolongname-OST0000", "a/b-OST0000", "lustre-XYZ0000",
		"lustre-OST00g0",
	};
	char name[LUSTRE_MAXTGTNAME], fsname[LUSTRE_MAXFSNAME + 1];
	struct cfs_target tgt;
	int i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT(!cfs_target_parse(good[i], &tgt));
		EXPECT(cfs_target_name(&tgt, name, sizeof(name)) > 0);
		EXPECT(!strcmp(name, good[i]));
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT(cfs_target_parse(bad[i], &tgt) == -EINVAL);

	EXPECT(!cfs_fsname_from_source("10.0.0.1@tcp:/lustre", fsname,
				       sizeof(fsname)));
	EXPECT(!strcmp(fsname, "lustre"));
	EXPECT(cfs_fsname_from_source("10.0.0.1@tcp", fsname, sizeof(fsname)));
	EXPECT(cfs_fsname_from_source("h@tcp:/fs/dir", fsname, sizeof(fsname)));
	return 0;
}

static int __init test_devices(void)
{
	struct obd_device *a, *b;

	a = class_attach("test", "obd_test-a");
	EXPECT(!IS_ERR(a));
	b = class_attach("test", "obd_test-b");
	EXPECT(!IS_ERR(b) && b->minor > a->minor);
	EXPECT(class_attach("test", "obd_test-a") == ERR_PTR(-EEXIST));
	/* A freed minor is given out again. */
	class_detach(a);
	a = class_attach("test", "obd_test-c");
	EXPECT(!IS_ERR(a) && a->minor < b->minor);
	class_detach(a);
	class_detach(b);
	return 0;
}

static int __init obd_test_init(void)
{
	int rc = test_names();

	if (!rc)
		rc = test_devices();
	if (!rc)
		pr_info("Lustre model: obd_test: all passed\n");
	return rc;
}

static void __exit obd_test_exit(void)
{
}

MODULE_AUTHOR("lustre-repo");
MODULE_DESCRIPTION("Lustre model: tests of obdclass and libcfs");
MODULE_VERSION(LUSTRE_VERSION_STRING);
MODULE_LICENSE("GPL");

module_init(obd_test_init);
module_exit(obd_test_exit);
