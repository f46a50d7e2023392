// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lustre model: libcfs, the strings that the other modules share.
 */
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>
#include <libcfs/libcfs.h>
#include <lustre_ver.h>

static bool cfs_fsname_ok(const char *name, size_t len)
{
	size_t i;

	if (len == 0 || len > LUSTRE_MAXFSNAME)
		return false;
	for (i = 0; i < len; i++)
		if (!isalnum(name[i]) && name[i] != '_')
			return false;
	return true;
}

/**
 * cfs_target_parse - take the name of a target apart
 * @name: "MGS", or "fsname-MDT0000" or "fsname-OST000a" (index in hexadecimal)
 * @tgt: the result
 *
 * Return: 0, or -EINVAL for any other name.
 */
int cfs_target_parse(const char *name, struct cfs_target *tgt)
{
	const char *dash = strrchr(name, '-');
	int rc;

	memset(tgt, 0, sizeof(*tgt));
	if (!strcmp(name, "MGS")) {
		tgt->role = CFS_MGS;
		return 0;
	}
	if (!dash || !cfs_fsname_ok(name, dash - name) || strlen(dash) != 8)
		return -EINVAL;
	if (!strncmp(dash, "-MDT", 4))
		tgt->role = CFS_MDT;
	else if (!strncmp(dash, "-OST", 4))
		tgt->role = CFS_OST;
	else
		return -EINVAL;
	rc = kstrtou16(dash + 4, 16, &tgt->index);
	if (rc)
		return -EINVAL;
	memcpy(tgt->fsname, name, dash - name);
	return 0;
}
EXPORT_SYMBOL_GPL(cfs_target_parse);

/**
 * cfs_target_name - the reverse of cfs_target_parse()
 * @tgt: the target
 * @buf: where the name goes
 * @len: size of @buf, LUSTRE_MAXTGTNAME is always enough
 *
 * Return: length of the name, or -ENAMETOOLONG.
 */
int cfs_target_name(const struct cfs_target *tgt, char *buf, size_t len)
{
	int n;

	if (tgt->role == CFS_MGS)
		n = snprintf(buf, len, "MGS");
	else
		n = snprintf(buf, len, "%s-%s%04x", tgt->fsname,
			     tgt->role == CFS_MDT ? "MDT" : "OST", tgt->index);
	return n < len ? n : -ENAMETOOLONG;
}
EXPORT_SYMBOL_GPL(cfs_target_name);

/**
 * cfs_fsname_from_source - which file system does a client want?
 * @source: "NID[:NID...]:/fsname"
 * @fsname: where the name goes
 * @len: size of @fsname
 *
 * Return: 0, or -EINVAL if @source has no well-formed name. Subdirectory
 * mounts are not part of the model.
 */
int cfs_fsname_from_source(const char *source, char *fsname, size_t len)
{
	const char *name = strstr(source, ":/");

	if (!name || !cfs_fsname_ok(name + 2, strlen(name + 2)) ||
	    strlen(name + 2) >= len)
		return -EINVAL;
	strcpy(fsname, name + 2);
	return 0;
}
EXPORT_SYMBOL_GPL(cfs_fsname_from_source);

static int __init libcfs_init(void)
{
	return 0;
}

static void __exit libcfs_exit(void)
{
}

MODULE_AUTHOR("lustre-repo");
MODULE_DESCRIPTION("Lustre model: shared strings");
MODULE_VERSION(LUSTRE_VERSION_STRING);
MODULE_LICENSE("GPL");

module_init(libcfs_init);
module_exit(libcfs_exit);
