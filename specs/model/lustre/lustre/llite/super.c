// SPDX-License-Identifier: GPL-2.0-or-later
/* Lustre model: mounting the client. */
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <lustre_ver.h>
#include "llite_internal.h"

static struct kmem_cache *ll_inode_cache;

static struct inode *ll_alloc_inode(struct super_block *sb)
{
	struct ll_inode *lli = alloc_inode_sb(sb, ll_inode_cache, GFP_KERNEL);

	if (!lli)
		return NULL;
	lli->md = NULL;
	lli->ost = NULL;
	lli->object = NULL;
	return &lli->vfs_inode;
}

static void ll_free_inode(struct inode *inode)
{
	kmem_cache_free(ll_inode_cache, ll_i(inode));
}

static void ll_evict_inode(struct inode *inode)
{
	struct ll_inode *lli = ll_i(inode);

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (lli->object) {
		if (!lli->md->i_nlink)
			ll_object_destroy(ll_s(inode->i_sb), lli->ost,
					  lli->object);
		dput(lli->object);
	}
	if (lli->md)
		iput(lli->md);
}

static int ll_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct ll_sb *sbi = ll_s(dentry->d_sb);
	struct path path = {
		.mnt = sbi->mdt->mnt,
		.dentry = sbi->mdt->mnt->mnt_root,
	};
	struct kstatfs ost;
	unsigned int i;
	int rc;

	rc = vfs_statfs(&path, buf);	/* files are the MDT's, bytes the OSTs' */
	if (rc)
		return rc;
	buf->f_type = LL_SUPER_MAGIC;
	buf->f_blocks = buf->f_bfree = buf->f_bavail = 0;
	for (i = 0; i < sbi->ost_count; i++) {
		u64 unit;

		path.mnt = sbi->ost[i].obd->mnt;
		path.dentry = path.mnt->mnt_root;
		rc = vfs_statfs(&path, &ost);
		if (rc)
			return rc;
		unit = max_t(u64, ost.f_bsize / buf->f_bsize, 1);
		buf->f_blocks += ost.f_blocks * unit;
		buf->f_bfree += ost.f_bfree * unit;
		buf->f_bavail += ost.f_bavail * unit;
	}
	return 0;
}

static const struct super_operations ll_super_ops = {
	.alloc_inode	= ll_alloc_inode,
	.free_inode	= ll_free_inode,
	.evict_inode	= ll_evict_inode,
	.drop_inode	= generic_delete_inode,
	.statfs		= ll_statfs,
};

static void ll_d_release(struct dentry *dentry)
{
	dput(ll_md(dentry));
}

static const struct dentry_operations ll_dentry_ops = {
	.d_release	= ll_d_release,
};

static void ll_sb_free(struct ll_sb *sbi)
{
	unsigned int i;

	for (i = 0; i < sbi->ost_count; i++) {
		dput(sbi->ost[i].objects);
		class_put(sbi->ost[i].obd);
	}
	if (sbi->self)
		class_detach(sbi->self);
	if (sbi->mdt)
		class_put(sbi->mdt);
	if (sbi->cred)
		put_cred(sbi->cred);
	kfree(sbi);
}

/* A directory in the root of a target, made by mkfs.lustre. */
static struct dentry *ll_target_dir(struct obd_device *obd, const char *name)
{
	struct dentry *dir = lookup_one_len_unlocked(name, obd->mnt->mnt_root,
						     strlen(name));

	if (IS_ERR(dir) || d_is_dir(dir))
		return dir;
	dput(dir);
	pr_err("Lustre model: %s has no directory %s, was it made by mkfs.lustre?\n",
	       obd->name, name);
	return ERR_PTR(-EUCLEAN);
}

/* Find the targets of the file system and pin them. */
static int ll_connect(struct ll_sb *sbi)
{
	struct cfs_target target = { .role = CFS_MDT };
	char name[OBD_NAME_MAX];
	struct obd_device *obd;
	int after = -1;

	sbi->cred = prepare_kernel_cred(NULL);
	if (!sbi->cred)
		return -ENOMEM;
	strcpy(target.fsname, sbi->fsname);
	sbi->mdt = class_find_target(&target);
	if (!sbi->mdt) {
		pr_err("Lustre model: %s-MDT0000 is not started on this node\n",
		       sbi->fsname);
		return -ENODEV;
	}
	while (sbi->ost_count < LL_MAX_OST &&
	       (obd = class_next_ost(sbi->fsname, after))) {
		struct ll_ost *ost = &sbi->ost[sbi->ost_count];

		after = obd->target.index;
		ost->obd = obd;
		ost->objects = ll_target_dir(obd, "O");
		if (IS_ERR(ost->objects)) {
			class_put(obd);
			return PTR_ERR(ost->objects);
		}
		sbi->ost_count++;
	}
	if (!sbi->ost_count) {
		pr_err("Lustre model: no OST of %s is started on this node\n",
		       sbi->fsname);
		return -ENODEV;
	}
	scnprintf(name, sizeof(name), "%s-client", sbi->fsname);
	sbi->self = class_attach("llite", name);
	if (IS_ERR(sbi->self)) {
		int rc = PTR_ERR(sbi->self);

		sbi->self = NULL;
		return rc;
	}
	return 0;
}

static int ll_fill_super(struct super_block *sb)
{
	struct ll_sb *sbi = ll_s(sb);
	struct dentry *md;
	struct inode *root;
	int rc;

	rc = ll_connect(sbi);
	if (rc)
		return rc;
	sb->s_magic = LL_SUPER_MAGIC;
	sb->s_op = &ll_super_ops;
	sb->s_d_op = &ll_dentry_ops;
	sb->s_xattr = ll_xattr_handlers;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_time_gran = 1;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_stack_depth = sbi->mdt->mnt->mnt_sb->s_stack_depth + 1;

	md = ll_target_dir(sbi->mdt, "ROOT");
	if (IS_ERR(md))
		return PTR_ERR(md);
	root = ll_iget(sb, md);
	if (IS_ERR(root)) {
		dput(md);
		return PTR_ERR(root);
	}
	sb->s_root = d_make_root(root);
	if (!sb->s_root) {
		dput(md);
		return -ENOMEM;
	}
	sb->s_root->d_fsdata = md;
	return 0;
}

static int ll_sb_test(struct super_block *sb, void *data)
{
	return !strcmp(ll_s(sb)->fsname, ((struct ll_sb *)data)->fsname);
}

static int ll_sb_set(struct super_block *sb, void *data)
{
	sb->s_fs_info = data;
	return set_anon_super(sb, NULL);
}

static struct dentry *ll_mount(struct file_system_type *type, int flags,
			       const char *source, void *data)
{
	struct super_block *sb;
	struct ll_sb *sbi;
	int rc;

	if (data && *(char *)data) {
		pr_err("Lustre model: unknown client mount options %s\n",
		       (char *)data);
		return ERR_PTR(-EINVAL);
	}
	sbi = kzalloc(sizeof(*sbi), GFP_KERNEL);
	if (!sbi)
		return ERR_PTR(-ENOMEM);
	rc = cfs_fsname_from_source(source ? source : "", sbi->fsname,
				    sizeof(sbi->fsname));
	if (rc) {
		pr_err("Lustre model: %s: expected NID:/fsname\n", source);
		kfree(sbi);
		return ERR_PTR(rc);
	}

	/* Two mounts of one file system share everything: no caches to agree. */
	sb = sget(type, ll_sb_test, ll_sb_set, flags, sbi);
	if (IS_ERR(sb) || ll_s(sb) != sbi)
		kfree(sbi);
	if (IS_ERR(sb))
		return ERR_CAST(sb);
	if (!sb->s_root) {
		rc = ll_fill_super(sb);
		if (rc) {
			deactivate_locked_super(sb);
			return ERR_PTR(rc);
		}
		sb->s_flags |= SB_ACTIVE;
		pr_info("Lustre model: mounted %s-client with %u OST(s)\n",
			ll_s(sb)->fsname, ll_s(sb)->ost_count);
	} else if ((flags ^ sb->s_flags) & SB_RDONLY) {
		deactivate_locked_super(sb);
		return ERR_PTR(-EBUSY);
	}
	return dget(sb->s_root);
}

static void ll_kill_sb(struct super_block *sb)
{
	struct ll_sb *sbi = ll_s(sb);

	kill_anon_super(sb);
	ll_sb_free(sbi);
}

static struct file_system_type ll_fs_type = {
	.owner		= THIS_MODULE,
	.name		= "lustre",
	.mount		= ll_mount,
	.kill_sb	= ll_kill_sb,
};
MODULE_ALIAS_FS("lustre");

static void ll_inode_init_once(void *lli)
{
	inode_init_once(&((struct ll_inode *)lli)->vfs_inode);
}

static int __init llite_init(void)
{
	int rc;

	ll_inode_cache = kmem_cache_create("lustre_model_inode",
					   sizeof(struct ll_inode), 0,
					   SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
					   ll_inode_init_once);
	if (!ll_inode_cache)
		return -ENOMEM;
	rc = register_filesystem(&ll_fs_type);
	if (rc)
		kmem_cache_destroy(ll_inode_cache);
	return rc;
}

static void __exit llite_exit(void)
{
	unregister_filesystem(&ll_fs_type);
	rcu_barrier();	/* inodes are freed behind it */
	kmem_cache_destroy(ll_inode_cache);
}

MODULE_AUTHOR("lustre-repo");
MODULE_DESCRIPTION("Lustre model: client file system");
MODULE_VERSION(LUSTRE_VERSION_STRING);
MODULE_LICENSE("GPL");

module_init(llite_init);
module_exit(llite_exit);
