// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lustre model: the back end that keeps a target on ldiskfs.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <lustre_ver.h>
#include <obd_class.h>

#define LDISKFS_LABEL_MAX	16

/* From ldiskfs.ko, which our series on ext4 adds it to. */
extern void ldiskfs_volume_label(struct super_block *sb,
				 char buf[LDISKFS_LABEL_MAX + 1]);

static struct vfsmount *osd_mount(const char *dev, const char *label,
				  bool readonly)
{
	char found[LDISKFS_LABEL_MAX + 1];
	struct file_system_type *type;
	struct vfsmount *mnt;
	char *options;

	options = kasprintf(GFP_KERNEL, "user_xattr,acl,expect_label=%s", label);
	if (!options)
		return ERR_PTR(-ENOMEM);
	type = get_fs_type("ldiskfs");
	if (!type) {
		kfree(options);
		return ERR_PTR(-ENODEV);
	}
	/* SB_KERNMOUNT: the last reference unmounts at once, not later. */
	mnt = vfs_kern_mount(type, SB_KERNMOUNT | (readonly ? SB_RDONLY : 0),
			     dev, options);
	module_put(type->owner);
	kfree(options);
	if (IS_ERR(mnt))
		return mnt;

	if (readonly)
		mnt->mnt_flags |= MNT_READONLY;
	ldiskfs_volume_label(mnt->mnt_sb, found);
	pr_info("Lustre model: osd-ldiskfs: %s holds %s\n", dev, found);
	return mnt;
}

static struct osd_type osd_ldiskfs_type = {
	.name	= "osd-ldiskfs",
	.fstype	= "ldiskfs",
	.owner	= THIS_MODULE,
	.mount	= osd_mount,
};

static int __init osd_init(void)
{
	return class_register_osd(&osd_ldiskfs_type);
}

static void __exit osd_exit(void)
{
	class_unregister_osd(&osd_ldiskfs_type);
}

MODULE_AUTHOR("lustre-repo");
MODULE_DESCRIPTION("Lustre model: object storage on ldiskfs");
MODULE_VERSION(LUSTRE_VERSION_STRING);
MODULE_LICENSE("GPL");

module_init(osd_init);
module_exit(osd_exit);
