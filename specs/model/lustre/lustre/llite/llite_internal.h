/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lustre model: the client, file system type "lustre".
 *
 * It stacks on targets of the same node. Names, owners and modes live under
 * ROOT on the MDT. The bytes of a regular file live in an object, O/<id>, on
 * one OST; which one is in the file's trusted.lov attribute on the MDT.
 */
#ifndef _MODEL_LLITE_INTERNAL_H
#define _MODEL_LLITE_INTERNAL_H

#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/xattr.h>
#include <obd_class.h>

#define LL_SUPER_MAGIC	0x0BD00BD0
#define LL_MAX_OST	16
#define LL_OBJ_NAME	32
#define LL_XATTR_LOV	"trusted.lov"	/* as stored on the MDT */
#define LL_XATTR_USER	"lustre.lov"	/* as lfs reads and writes it */
#define LL_LOV_MAGIC	0x4d4f444c	/* "LDOM", for model */
#define LL_ANY_OST	0xffff

/* trusted.lov on the MDT. On a directory: where its new files go. */
struct ll_lov {
	__le32 magic;
	__le16 ost;
	__le16 stripe_count;	/* always 1 */
	__le64 object;		/* inode number on the MDT */
	__le32 generation;	/* of that inode */
	__le32 reserved;
};

struct ll_ost {
	struct obd_device	*obd;
	struct dentry		*objects;	/* directory O */
};

struct ll_sb {
	char			 fsname[LUSTRE_MAXFSNAME + 1];
	struct obd_device	*mdt;
	struct obd_device	*self;		/* our line in lctl dl */
	struct ll_ost		 ost[LL_MAX_OST];
	unsigned int		 ost_count;
	atomic_t		 next_ost;	/* round robin */
	const struct cred	*cred;		/* for objects and trusted.* */
};

struct ll_inode {
	struct inode	 vfs_inode;
	struct inode	*md;		/* on the MDT, with a reference */
	struct ll_ost	*ost;		/* regular files only */
	struct dentry	*object;	/* regular files only */
};

static inline struct ll_sb *ll_s(struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct ll_inode *ll_i(struct inode *inode)
{
	return container_of(inode, struct ll_inode, vfs_inode);
}

/* The MDT's dentry behind ours. */
static inline struct dentry *ll_md(const struct dentry *dentry)
{
	return dentry->d_fsdata;
}

/* object.c */
struct ll_ost *ll_ost_by_index(struct ll_sb *sbi, unsigned int index);
int ll_object_create(struct ll_sb *sbi, struct dentry *dir, struct dentry *md,
		     unsigned int wanted);
int ll_object_open(struct ll_sb *sbi, struct dentry *md, struct ll_inode *lli);
int ll_object_move(struct ll_sb *sbi, struct dentry *md, struct ll_inode *lli,
		   unsigned int wanted);
void ll_object_destroy(struct ll_sb *sbi, struct ll_ost *ost,
		       struct dentry *object);
int ll_lov_get(struct ll_sb *sbi, struct dentry *md, struct ll_lov *lov);
int ll_lov_set(struct ll_sb *sbi, struct dentry *md, const struct ll_lov *lov);

/* file.c, namei.c, xattr.c, super.c */
extern const struct file_operations ll_file_ops;
extern const struct file_operations ll_dir_fops;
extern const struct inode_operations ll_file_iops;
extern const struct inode_operations ll_dir_iops;
extern const struct inode_operations ll_symlink_iops;
extern const struct xattr_handler *ll_xattr_handlers[];

void ll_refresh(struct inode *inode);
struct inode *ll_iget(struct super_block *sb, struct dentry *md);
int ll_setattr(struct user_namespace *ns, struct dentry *dentry,
	       struct iattr *attr);
int ll_getattr(struct user_namespace *ns, const struct path *path,
	       struct kstat *stat, u32 mask, unsigned int flags);
ssize_t ll_listxattr(struct dentry *dentry, char *list, size_t size);

#endif /* _MODEL_LLITE_INTERNAL_H */
