// SPDX-License-Identifier: GPL-2.0-or-later
/* Lustre model: names, which are those of the MDT. */
#include <linux/namei.h>
#include "llite_internal.h"

/* A change in one directory of the MDT: write access and the lock. */
static int ll_begin(struct inode *dir, struct inode **md_dir)
{
	int rc = mnt_want_write(ll_s(dir->i_sb)->mdt->mnt);

	if (rc)
		return rc;
	*md_dir = ll_i(dir)->md;
	inode_lock_nested(*md_dir, I_MUTEX_PARENT);
	return 0;
}

static void ll_end(struct inode *dir, struct inode *md_dir)
{
	inode_unlock(md_dir);
	mnt_drop_write(ll_s(dir->i_sb)->mdt->mnt);
	ll_refresh(dir);
}

static struct dentry *ll_lookup(struct inode *dir, struct dentry *dentry,
				unsigned int flags)
{
	struct inode *inode = NULL;
	struct dentry *md;

	if (dentry->d_name.len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	md = lookup_one_len_unlocked(dentry->d_name.name,
				     ll_md(dentry->d_parent),
				     dentry->d_name.len);
	if (IS_ERR(md))
		return ERR_CAST(md);
	dentry->d_fsdata = md;
	if (d_really_is_positive(md))
		inode = ll_iget(dir->i_sb, md);
	return d_splice_alias(inode, dentry);
}

/* The MDT made @dentry's file: give it an inode here. */
static int ll_instantiate(struct dentry *dentry)
{
	struct inode *inode = ll_iget(dentry->d_sb, ll_md(dentry));

	if (IS_ERR(inode)) {
		d_drop(dentry);
		return PTR_ERR(inode);
	}
	d_instantiate(dentry, inode);
	return 0;
}

static int ll_create(struct user_namespace *ns, struct inode *dir,
		     struct dentry *dentry, umode_t mode, bool excl)
{
	struct ll_sb *sbi = ll_s(dir->i_sb);
	struct dentry *md = ll_md(dentry);
	struct inode *md_dir;
	int rc;

	rc = ll_begin(dir, &md_dir);
	if (rc)
		return rc;
	rc = vfs_create(&init_user_ns, md_dir, md, mode, excl);
	if (!rc) {
		rc = ll_object_create(sbi, ll_md(dentry->d_parent), md,
				      LL_ANY_OST);
		if (rc && vfs_unlink(&init_user_ns, md_dir, md, NULL))
			pr_warn("Lustre model: %s: %pd stays without an object\n",
				sbi->mdt->name, md);
		/* The MDT's dentry may be unhashed now: look it up again. */
		if (rc)
			d_drop(dentry);
	}
	ll_end(dir, md_dir);
	return rc ? rc : ll_instantiate(dentry);
}

static int ll_mkdir(struct user_namespace *ns, struct inode *dir,
		    struct dentry *dentry, umode_t mode)
{
	struct inode *md_dir;
	int rc;

	rc = ll_begin(dir, &md_dir);
	if (rc)
		return rc;
	rc = vfs_mkdir(&init_user_ns, md_dir, ll_md(dentry), mode);
	ll_end(dir, md_dir);
	if (rc)
		return rc;
	if (d_really_is_negative(ll_md(dentry))) {
		d_drop(dentry);
		return 0;
	}
	return ll_instantiate(dentry);
}

static int ll_mknod(struct user_namespace *ns, struct inode *dir,
		    struct dentry *dentry, umode_t mode, dev_t dev)
{
	struct inode *md_dir;
	int rc;

	if (S_ISREG(mode))
		return ll_create(ns, dir, dentry, mode, true);
	rc = ll_begin(dir, &md_dir);
	if (rc)
		return rc;
	rc = vfs_mknod(&init_user_ns, md_dir, ll_md(dentry), mode, dev);
	ll_end(dir, md_dir);
	return rc ? rc : ll_instantiate(dentry);
}

static int ll_symlink(struct user_namespace *ns, struct inode *dir,
		      struct dentry *dentry, const char *target)
{
	struct inode *md_dir;
	int rc;

	rc = ll_begin(dir, &md_dir);
	if (rc)
		return rc;
	rc = vfs_symlink(&init_user_ns, md_dir, ll_md(dentry), target);
	ll_end(dir, md_dir);
	return rc ? rc : ll_instantiate(dentry);
}

static int ll_link(struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	struct inode *md_dir;
	int rc;

	rc = ll_begin(dir, &md_dir);
	if (rc)
		return rc;
	rc = vfs_link(ll_md(old), &init_user_ns, md_dir, ll_md(dentry), NULL);
	ll_end(dir, md_dir);
	if (rc)
		return rc;
	ll_refresh(d_inode(old));
	ihold(d_inode(old));
	d_instantiate(dentry, d_inode(old));
	return 0;
}

static int ll_remove(struct inode *dir, struct dentry *dentry, bool is_dir)
{
	struct dentry *md = dget(ll_md(dentry));
	struct inode *md_dir;
	int rc;

	rc = ll_begin(dir, &md_dir);
	if (!rc) {
		/*
		 * The second reference keeps the MDT's dentry from turning
		 * negative and being used again under an open file of ours.
		 */
		rc = is_dir ? vfs_rmdir(&init_user_ns, md_dir, md) :
			      vfs_unlink(&init_user_ns, md_dir, md, NULL);
		ll_end(dir, md_dir);
	}
	if (!rc) {
		ll_refresh(d_inode(dentry));
		d_drop(dentry);
	}
	dput(md);
	return rc;
}

static int ll_unlink(struct inode *dir, struct dentry *dentry)
{
	return ll_remove(dir, dentry, false);
}

static int ll_rmdir(struct inode *dir, struct dentry *dentry)
{
	return ll_remove(dir, dentry, true);
}

static int ll_rename(struct user_namespace *ns, struct inode *old_dir,
		     struct dentry *old, struct inode *new_dir,
		     struct dentry *new, unsigned int flags)
{
	struct dentry *old_parent = ll_md(old->d_parent);
	struct dentry *new_parent = ll_md(new->d_parent);
	struct vfsmount *mnt = ll_s(old_dir->i_sb)->mdt->mnt;
	struct dentry *victim = dget(ll_md(new));
	struct renamedata rd = {
		.old_mnt_userns	= &init_user_ns,
		.old_dir	= d_inode(old_parent),
		.old_dentry	= ll_md(old),
		.new_mnt_userns	= &init_user_ns,
		.new_dir	= d_inode(new_parent),
		.new_dentry	= victim,
		.flags		= flags,
	};
	struct dentry *trap;
	int rc;

	if (flags & ~RENAME_NOREPLACE) {
		rc = -EINVAL;
		goto out;
	}
	rc = mnt_want_write(mnt);
	if (rc)
		goto out;
	trap = lock_rename(old_parent, new_parent);
	if (trap == ll_md(old))
		rc = -EINVAL;
	else if (trap == victim)
		rc = -ENOTEMPTY;
	else
		rc = vfs_rename(&rd);
	unlock_rename(old_parent, new_parent);
	mnt_drop_write(mnt);
	if (!rc) {
		ll_refresh(old_dir);
		ll_refresh(new_dir);
		ll_refresh(d_inode(old));
		if (d_really_is_positive(new))
			ll_refresh(d_inode(new));
	}
out:
	dput(victim);
	return rc;
}

static const char *ll_get_link(struct dentry *dentry, struct inode *inode,
			       struct delayed_call *done)
{
	if (!dentry)
		return ERR_PTR(-ECHILD);
	return vfs_get_link(ll_md(dentry), done);
}

const struct inode_operations ll_dir_iops = {
	.lookup		= ll_lookup,
	.create		= ll_create,
	.mkdir		= ll_mkdir,
	.mknod		= ll_mknod,
	.symlink	= ll_symlink,
	.link		= ll_link,
	.unlink		= ll_unlink,
	.rmdir		= ll_rmdir,
	.rename		= ll_rename,
	.getattr	= ll_getattr,
	.setattr	= ll_setattr,
	.listxattr	= ll_listxattr,
};

const struct inode_operations ll_symlink_iops = {
	.get_link	= ll_get_link,
	.getattr	= ll_getattr,
	.setattr	= ll_setattr,
	.listxattr	= ll_listxattr,
};
