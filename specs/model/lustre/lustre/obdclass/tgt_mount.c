// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lustre model: file system type "lustre_tgt", what a server mounts.
 *
 * Mounting it starts a target: the back end mounts the device privately, and
 * the mount point only shows an empty directory whose statfs is the target's.
 */
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <obd_class.h>

#define LUSTRE_SUPER_MAGIC	0x0BD00BD1

struct tgt_options {
	const char *dev;
	const char *svname;
	const char *osd;
};

static struct obd_device *tgt_obd(struct super_block *sb)
{
	return sb->s_fs_info;
}

static int tgt_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct vfsmount *mnt = tgt_obd(dentry->d_sb)->mnt;
	struct path path = { .mnt = mnt, .dentry = mnt->mnt_root };
	int rc = vfs_statfs(&path, buf);

	buf->f_type = LUSTRE_SUPER_MAGIC;
	return rc;
}

static int tgt_show_options(struct seq_file *seq, struct dentry *root)
{
	struct obd_device *obd = tgt_obd(root->d_sb);

	seq_printf(seq, ",svname=%s,osd=%s", obd->name, obd->type);
	return 0;
}

static const struct super_operations tgt_super_ops = {
	.statfs		= tgt_statfs,
	.drop_inode	= generic_delete_inode,
	.show_options	= tgt_show_options,
};

/* svname=lustre-MDT0000,osd=osd-ldiskfs, as mount.lustre writes them. */
static int tgt_parse(char *data, struct tgt_options *opt)
{
	char *word;

	while ((word = strsep(&data, ","))) {
		if (!*word)
			continue;
		if (!strncmp(word, "svname=", 7)) {
			opt->svname = word + 7;
		} else if (!strncmp(word, "osd=", 4)) {
			opt->osd = word + 4;
		} else {
			pr_err("Lustre model: unknown mount option %s\n", word);
			return -EINVAL;
		}
	}
	if (opt->svname && opt->osd)
		return 0;
	pr_err("Lustre model: mount options svname= and osd= are required, use mount.lustre\n");
	return -EINVAL;
}

static struct obd_device *tgt_start(const struct tgt_options *opt, bool ro)
{
	struct cfs_target target;
	struct obd_device *obd;
	struct osd_type *osd;
	struct vfsmount *mnt;
	int rc;

	rc = cfs_target_parse(opt->svname, &target);
	if (rc) {
		pr_err("Lustre model: %s is no name of a target\n", opt->svname);
		return ERR_PTR(rc);
	}
	osd = class_get_osd(opt->osd);
	if (!osd) {
		pr_err("Lustre model: back end %s is not loaded\n", opt->osd);
		return ERR_PTR(-ENODEV);
	}
	/*
	 * Take the name before the device is touched: mounting a store twice
	 * would replay a journal under the feet of its first user.
	 */
	obd = class_attach(opt->osd, opt->svname);
	if (IS_ERR(obd)) {
		pr_err("Lustre model: cannot start %s: %ld\n", opt->svname,
		       PTR_ERR(obd));
		class_put_osd(osd);
		return obd;
	}
	obd->osd = osd;
	obd->target = target;
	mnt = osd->mount(opt->dev, opt->svname, ro);
	if (IS_ERR(mnt)) {
		pr_err("Lustre model: %s: %s cannot mount %s: %ld\n",
		       opt->svname, opt->osd, opt->dev, PTR_ERR(mnt));
		class_detach(obd);
		return ERR_CAST(mnt);
	}
	smp_store_release(&obd->mnt, mnt);	/* from here on clients find it */
	pr_info("Lustre model: %s: started from %s\n", opt->svname, opt->dev);
	return obd;
}

static int tgt_fill_super(struct super_block *sb, void *data, int silent)
{
	struct obd_device *obd;
	struct inode *root;

	obd = tgt_start(data, sb_rdonly(sb));
	if (IS_ERR(obd))
		return PTR_ERR(obd);

	sb->s_fs_info = obd;
	sb->s_magic = LUSTRE_SUPER_MAGIC;
	sb->s_op = &tgt_super_ops;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_maxbytes = MAX_LFS_FILESIZE;

	root = new_inode(sb);
	if (!root)
		return -ENOMEM;
	root->i_ino = 1;
	root->i_mode = S_IFDIR | 0500;
	root->i_atime = root->i_mtime = root->i_ctime = current_time(root);
	root->i_op = &simple_dir_inode_operations;
	root->i_fop = &simple_dir_operations;
	set_nlink(root, 2);
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

static struct dentry *tgt_mount(struct file_system_type *type, int flags,
				const char *dev, void *data)
{
	struct tgt_options opt = { .dev = dev };
	int rc;

	if (!data || !dev)
		return ERR_PTR(-EINVAL);
	rc = tgt_parse(data, &opt);
	if (rc)
		return ERR_PTR(rc);
	return mount_nodev(type, flags, &opt, tgt_fill_super);
}

static void tgt_kill_sb(struct super_block *sb)
{
	struct obd_device *obd = tgt_obd(sb);

	kill_anon_super(sb);
	if (obd) {
		pr_info("Lustre model: %s: stopped\n", obd->name);
		class_detach(obd);
	}
}

static struct file_system_type tgt_fs_type = {
	.owner		= THIS_MODULE,
	.name		= "lustre_tgt",
	.mount		= tgt_mount,
	.kill_sb	= tgt_kill_sb,
};
MODULE_ALIAS_FS("lustre_tgt");

int class_tgt_init(void)
{
	return register_filesystem(&tgt_fs_type);
}

void class_tgt_exit(void)
{
	unregister_filesystem(&tgt_fs_type);
}
