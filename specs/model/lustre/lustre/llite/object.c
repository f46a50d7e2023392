// SPDX-License-Identifier: GPL-2.0-or-later
/* Lustre model: the object on an OST that holds the bytes of a file. */
#include <linux/namei.h>
#include "llite_internal.h"

struct ll_ost *ll_ost_by_index(struct ll_sb *sbi, unsigned int index)
{
	unsigned int i;

	for (i = 0; i < sbi->ost_count; i++)
		if (sbi->ost[i].obd->target.index == index)
			return &sbi->ost[i];
	return NULL;
}

int ll_lov_get(struct ll_sb *sbi, struct dentry *md, struct ll_lov *lov)
{
	const struct cred *old = override_creds(sbi->cred);
	ssize_t n = vfs_getxattr(&init_user_ns, md, LL_XATTR_LOV, lov,
				 sizeof(*lov));

	revert_creds(old);
	if (n < 0)
		return n;
	if (n != sizeof(*lov) || le32_to_cpu(lov->magic) != LL_LOV_MAGIC)
		return -EUCLEAN;
	return 0;
}

int ll_lov_set(struct ll_sb *sbi, struct dentry *md, const struct ll_lov *lov)
{
	const struct cred *old = override_creds(sbi->cred);
	int rc = vfs_setxattr(&init_user_ns, md, LL_XATTR_LOV, lov,
			      sizeof(*lov), 0);

	revert_creds(old);
	return rc;
}

static int ll_object_name(const struct ll_lov *lov, char name[LL_OBJ_NAME])
{
	return scnprintf(name, LL_OBJ_NAME, "%llx:%x",
			 le64_to_cpu(lov->object),
			 le32_to_cpu(lov->generation));
}

/* A new, empty object on @ost, or an error. */
static struct dentry *ll_object_new(struct ll_sb *sbi, struct ll_ost *ost,
				    const struct ll_lov *lov)
{
	struct inode *dir = d_inode(ost->objects);
	const struct cred *old = override_creds(sbi->cred);
	char name[LL_OBJ_NAME];
	struct dentry *object;
	int rc;

	rc = mnt_want_write(ost->obd->mnt);
	if (rc) {
		object = ERR_PTR(rc);
		goto out;
	}
	inode_lock_nested(dir, I_MUTEX_PARENT);
	object = lookup_one_len(name, ost->objects, ll_object_name(lov, name));
	if (!IS_ERR(object)) {
		if (d_really_is_positive(object))
			rc = -EEXIST;
		else
			rc = vfs_create(&init_user_ns, dir, object,
					S_IFREG | 0600, true);
		if (rc) {
			dput(object);
			object = ERR_PTR(rc);
		}
	}
	inode_unlock(dir);
	mnt_drop_write(ost->obd->mnt);
out:
	revert_creds(old);
	return object;
}

/* Which OST takes a new file: @wanted, else what @dir says, else the next. */
static struct ll_ost *ll_ost_choose(struct ll_sb *sbi, struct dentry *dir,
				    unsigned int wanted)
{
	struct ll_ost *ost = NULL;
	struct ll_lov lov;

	if (wanted == LL_ANY_OST && dir && !ll_lov_get(sbi, dir, &lov))
		wanted = le16_to_cpu(lov.ost);
	if (wanted != LL_ANY_OST)
		return ll_ost_by_index(sbi, wanted);
	ost = &sbi->ost[(unsigned int)atomic_inc_return(&sbi->next_ost) %
			sbi->ost_count];
	return ost;
}

/**
 * ll_object_create - give a new file of the MDT its object
 * @sbi: the client
 * @dir: directory of the MDT that the file is in, or NULL
 * @md: the file on the MDT
 * @wanted: index of an OST, or LL_ANY_OST
 */
int ll_object_create(struct ll_sb *sbi, struct dentry *dir, struct dentry *md,
		     unsigned int wanted)
{
	struct ll_ost *ost = ll_ost_choose(sbi, dir, wanted);
	struct ll_lov lov = {
		.magic = cpu_to_le32(LL_LOV_MAGIC),
		.stripe_count = cpu_to_le16(1),
		.object = cpu_to_le64(d_inode(md)->i_ino),
		.generation = cpu_to_le32(d_inode(md)->i_generation),
	};
	struct dentry *object;
	int rc;

	if (!ost)
		return -ENXIO;
	lov.ost = cpu_to_le16(ost->obd->target.index);
	object = ll_object_new(sbi, ost, &lov);
	if (IS_ERR(object))
		return PTR_ERR(object);
	rc = ll_lov_set(sbi, md, &lov);
	if (rc)
		ll_object_destroy(sbi, ost, object);
	dput(object);
	return rc;
}

/* Find the object of a file that exists. */
int ll_object_open(struct ll_sb *sbi, struct dentry *md, struct ll_inode *lli)
{
	const struct cred *old;
	char name[LL_OBJ_NAME];
	struct dentry *object;
	struct ll_lov lov;
	int rc;

	rc = ll_lov_get(sbi, md, &lov);
	if (rc)
		return rc == -ENODATA ? -EUCLEAN : rc;
	lli->ost = ll_ost_by_index(sbi, le16_to_cpu(lov.ost));
	if (!lli->ost)
		return -ENXIO;
	old = override_creds(sbi->cred);
	object = lookup_one_len_unlocked(name, lli->ost->objects,
					 ll_object_name(&lov, name));
	revert_creds(old);
	if (IS_ERR(object))
		return PTR_ERR(object);
	if (d_really_is_negative(object)) {
		dput(object);
		return -EUCLEAN;
	}
	lli->object = object;
	return 0;
}

/* Put an empty file on another OST. The caller holds the inode's lock. */
int ll_object_move(struct ll_sb *sbi, struct dentry *md, struct ll_inode *lli,
		   unsigned int wanted)
{
	struct ll_ost *ost = ll_ost_choose(sbi, NULL, wanted);
	struct dentry *object;
	struct ll_lov lov;
	int rc;

	if (!ost)
		return -ENXIO;
	if (ost == lli->ost)
		return 0;
	if (i_size_read(d_inode(lli->object)) ||
	    atomic_read(&lli->vfs_inode.i_writecount))
		return -EBUSY;
	rc = ll_lov_get(sbi, md, &lov);
	if (rc)
		return rc;
	lov.ost = cpu_to_le16(ost->obd->target.index);
	object = ll_object_new(sbi, ost, &lov);
	if (IS_ERR(object))
		return PTR_ERR(object);
	rc = ll_lov_set(sbi, md, &lov);
	if (rc) {
		ll_object_destroy(sbi, ost, object);
		dput(object);
		return rc;
	}
	ll_object_destroy(sbi, lli->ost, lli->object);
	dput(lli->object);
	lli->ost = ost;
	lli->object = object;
	return 0;
}

/* Remove an object. What cannot be removed is only reported: it is lost space. */
void ll_object_destroy(struct ll_sb *sbi, struct ll_ost *ost,
		       struct dentry *object)
{
	struct inode *dir = d_inode(ost->objects);
	const struct cred *old = override_creds(sbi->cred);
	int rc = mnt_want_write(ost->obd->mnt);

	if (!rc) {
		inode_lock_nested(dir, I_MUTEX_PARENT);
		rc = vfs_unlink(&init_user_ns, dir, object, NULL);
		inode_unlock(dir);
		mnt_drop_write(ost->obd->mnt);
	}
	revert_creds(old);
	if (rc)
		pr_warn("Lustre model: %s: object %pd stays behind: %d\n",
			ost->obd->name, object, rc);
}
