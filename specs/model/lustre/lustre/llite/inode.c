// SPDX-License-Identifier: GPL-2.0-or-later
/* Lustre model: an inode of the client, from those of its MDT and OST. */
#include "llite_internal.h"

/* Take over what the MDT and the OST know of a file. */
void ll_refresh(struct inode *inode)
{
	struct ll_inode *lli = ll_i(inode);
	struct inode *md = lli->md;

	inode->i_mode = md->i_mode;
	inode->i_uid = md->i_uid;
	inode->i_gid = md->i_gid;
	inode->i_atime = md->i_atime;
	inode->i_mtime = md->i_mtime;
	inode->i_ctime = md->i_ctime;
	set_nlink(inode, md->i_nlink);
	if (lli->object) {
		struct inode *obj = d_inode(lli->object);

		inode->i_atime = obj->i_atime;
		inode->i_mtime = obj->i_mtime;
		if (timespec64_compare(&obj->i_ctime, &inode->i_ctime) > 0)
			inode->i_ctime = obj->i_ctime;
		inode->i_blocks = obj->i_blocks;
		i_size_write(inode, i_size_read(obj));
	} else {
		inode->i_blocks = md->i_blocks;
		i_size_write(inode, i_size_read(md));
	}
}

int ll_getattr(struct user_namespace *ns, const struct path *path,
	       struct kstat *stat, u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);

	ll_refresh(inode);
	generic_fillattr(ns, inode, stat);
	return 0;
}

static int ll_notify(struct vfsmount *mnt, struct dentry *dentry,
		     struct iattr *attr)
{
	int rc = mnt_want_write(mnt);

	if (rc)
		return rc;
	inode_lock(d_inode(dentry));
	rc = notify_change(&init_user_ns, dentry, attr, NULL);
	inode_unlock(d_inode(dentry));
	mnt_drop_write(mnt);
	return rc;
}

int ll_setattr(struct user_namespace *ns, struct dentry *dentry,
	       struct iattr *attr)
{
	const unsigned int data = ATTR_SIZE | ATTR_ATIME | ATTR_MTIME |
				  ATTR_ATIME_SET | ATTR_MTIME_SET;
	const unsigned int never = ATTR_FILE | ATTR_OPEN | ATTR_KILL_SUID |
				   ATTR_KILL_SGID | ATTR_KILL_PRIV;
	struct inode *inode = d_inode(dentry);
	struct ll_sb *sbi = ll_s(inode->i_sb);
	struct ll_inode *lli = ll_i(inode);
	struct iattr md_attr = *attr, obj_attr = *attr;
	int rc;

	rc = setattr_prepare(ns, dentry, attr);
	if (rc)
		return rc;
	/* Times go to both sides, the size only to the object. */
	md_attr.ia_valid &= ~never;
	obj_attr.ia_valid &= data;
	if (lli->object)
		md_attr.ia_valid &= ~ATTR_SIZE;
	if (md_attr.ia_valid & ~ATTR_CTIME)
		rc = ll_notify(sbi->mdt->mnt, ll_md(dentry), &md_attr);
	if (!rc && lli->object && obj_attr.ia_valid) {
		const struct cred *old = override_creds(sbi->cred);

		rc = ll_notify(lli->ost->obd->mnt, lli->object, &obj_attr);
		revert_creds(old);
	}
	ll_refresh(inode);
	return rc;
}

static int ll_inode_test(struct inode *inode, void *md)
{
	return ll_i(inode)->md == md;
}

static int ll_inode_set(struct inode *inode, void *md)
{
	ihold(md);
	ll_i(inode)->md = md;
	inode->i_ino = ((struct inode *)md)->i_ino;
	return 0;
}

/* Our inode for a file of the MDT, with a reference. */
struct inode *ll_iget(struct super_block *sb, struct dentry *md)
{
	struct inode *md_inode = d_inode(md);
	struct inode *inode;
	int rc = 0;

	inode = iget5_locked(sb, md_inode->i_ino, ll_inode_test, ll_inode_set,
			     md_inode);
	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (!(inode->i_state & I_NEW))
		return inode;

	inode->i_mode = md_inode->i_mode;
	inode->i_generation = md_inode->i_generation;
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &ll_file_iops;
		inode->i_fop = &ll_file_ops;
		rc = ll_object_open(ll_s(sb), md, ll_i(inode));
		if (rc)
			pr_warn("Lustre model: %s: no object for %pd2: %d\n",
				ll_s(sb)->mdt->name, md, rc);
		break;
	case S_IFDIR:
		inode->i_op = &ll_dir_iops;
		inode->i_fop = &ll_dir_fops;
		break;
	case S_IFLNK:
		inode->i_op = &ll_symlink_iops;
		break;
	default:
		inode->i_op = &ll_file_iops;
		init_special_inode(inode, inode->i_mode, md_inode->i_rdev);
	}
	if (rc) {
		iget_failed(inode);
		return ERR_PTR(rc);
	}
	ll_refresh(inode);
	unlock_new_inode(inode);
	return inode;
}
