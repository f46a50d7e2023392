// SPDX-License-Identifier: GPL-2.0-or-later
/* Lustre model: attributes of the MDT, and where a file is striped to. */
#include "llite_internal.h"

static int ll_xattr_get(const struct xattr_handler *handler,
			struct dentry *dentry, struct inode *inode,
			const char *name, void *value, size_t size)
{
	struct dentry *md = ll_md(dentry);
	struct ll_lov lov;
	int rc;

	if (strcmp(name, LL_XATTR_USER))
		return vfs_getxattr(&init_user_ns, md, name, value, size);

	rc = ll_lov_get(ll_s(inode->i_sb), md, &lov);
	if (rc)
		return rc;
	if (!size)
		return sizeof(lov);
	if (size < sizeof(lov))
		return -ERANGE;
	memcpy(value, &lov, sizeof(lov));
	return sizeof(lov);
}

/* lfs setstripe: a directory's default, or where an empty file goes. */
static int ll_set_stripe(struct user_namespace *ns, struct dentry *dentry,
			 struct inode *inode, const void *value, size_t size)
{
	struct ll_sb *sbi = ll_s(inode->i_sb);
	struct ll_lov lov;
	unsigned int ost;
	int rc;

	if (!inode_owner_or_capable(ns, inode))
		return -EPERM;
	if (!value || size != sizeof(lov))
		return -EINVAL;
	memcpy(&lov, value, sizeof(lov));
	ost = le16_to_cpu(lov.ost);
	if (le32_to_cpu(lov.magic) != LL_LOV_MAGIC ||
	    le16_to_cpu(lov.stripe_count) != 1)
		return -EINVAL;
	if (ost != LL_ANY_OST && !ll_ost_by_index(sbi, ost))
		return -ENXIO;

	rc = mnt_want_write(sbi->mdt->mnt);
	if (rc)
		return rc;
	if (S_ISDIR(inode->i_mode)) {
		lov.object = 0;
		lov.generation = 0;
		rc = ll_lov_set(sbi, ll_md(dentry), &lov);
	} else if (S_ISREG(inode->i_mode)) {
		rc = ll_object_move(sbi, ll_md(dentry), ll_i(inode), ost);
		ll_refresh(inode);
	} else {
		rc = -EINVAL;
	}
	mnt_drop_write(sbi->mdt->mnt);
	return rc;
}

static int ll_xattr_set(const struct xattr_handler *handler,
			struct user_namespace *ns, struct dentry *dentry,
			struct inode *inode, const char *name,
			const void *value, size_t size, int flags)
{
	struct vfsmount *mnt = ll_s(inode->i_sb)->mdt->mnt;
	struct dentry *md = ll_md(dentry);
	int rc;

	if (!strcmp(name, LL_XATTR_USER))
		return ll_set_stripe(ns, dentry, inode, value, size);
	/* Copying tools carry it from file to file: it belongs to one only. */
	if (!strcmp(name, LL_XATTR_LOV))
		return 0;
	/* No access control lists in the model. */
	if (!strncmp(name, XATTR_SYSTEM_PREFIX, XATTR_SYSTEM_PREFIX_LEN))
		return -EOPNOTSUPP;

	rc = mnt_want_write(mnt);
	if (rc)
		return rc;
	if (value)
		rc = vfs_setxattr(&init_user_ns, md, name, value, size, flags);
	else
		rc = vfs_removexattr(&init_user_ns, md, name);
	mnt_drop_write(mnt);
	ll_refresh(inode);
	return rc;
}

ssize_t ll_listxattr(struct dentry *dentry, char *list, size_t size)
{
	return vfs_listxattr(ll_md(dentry), list, size);
}

static const struct xattr_handler ll_xattr_handler = {
	.prefix	= "",	/* every name */
	.get	= ll_xattr_get,
	.set	= ll_xattr_set,
};

const struct xattr_handler *ll_xattr_handlers[] = {
	&ll_xattr_handler,
	NULL,
};
