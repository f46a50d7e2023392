// SPDX-License-Identifier: GPL-2.0-or-later
/* Lustre model: open files, whose bytes are in an object on an OST. */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/splice.h>
#include <linux/uio.h>
#include "llite_internal.h"

static struct file *ll_lower(struct file *file)
{
	return file->private_data;
}

static int ll_open(struct inode *inode, struct file *file)
{
	struct ll_sb *sbi = ll_s(inode->i_sb);
	struct ll_inode *lli = ll_i(inode);
	bool is_dir = S_ISDIR(inode->i_mode);
	struct path path = {
		.mnt = is_dir ? sbi->mdt->mnt : lli->ost->obd->mnt,
		.dentry = is_dir ? ll_md(file->f_path.dentry) : lli->object,
	};
	/* Appending is done here, direct I/O not at all. */
	int flags = file->f_flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY |
				      O_APPEND | O_DIRECT);
	struct file *lower = dentry_open(&path, flags, sbi->cred);

	if (IS_ERR(lower))
		return PTR_ERR(lower);
	file->private_data = lower;
	return 0;
}

static int ll_release(struct inode *inode, struct file *file)
{
	fput(ll_lower(file));
	return 0;
}

static ssize_t ll_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct file *file = iocb->ki_filp;
	ssize_t n = vfs_iter_read(ll_lower(file), to, &iocb->ki_pos, 0);

	ll_refresh(file_inode(file));
	return n;
}

static ssize_t ll_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct file *file = iocb->ki_filp;
	struct file *lower = ll_lower(file);
	struct inode *inode = file_inode(file);
	ssize_t n;

	inode_lock(inode);
	ll_refresh(inode);
	n = generic_write_checks(iocb, from);	/* moves to the end for O_APPEND */
	if (n <= 0)
		goto out;
	n = file_remove_privs(file);
	if (n)
		goto out;
	file_start_write(lower);
	n = vfs_iter_write(lower, from, &iocb->ki_pos, 0);
	file_end_write(lower);
	ll_refresh(inode);
out:
	inode_unlock(inode);
	if (n > 0 && (iocb->ki_flags & IOCB_DSYNC)) {
		int rc = vfs_fsync_range(lower, iocb->ki_pos - n,
					 iocb->ki_pos - 1,
					 !(iocb->ki_flags & IOCB_SYNC));
		if (rc)
			return rc;
	}
	return n;
}

static int ll_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct file *lower = ll_lower(file);

	if (!lower->f_op->mmap)
		return -ENODEV;
	vma_set_file(vma, lower);
	return call_mmap(lower, vma);
}

static loff_t ll_llseek(struct file *file, loff_t offset, int whence)
{
	struct file *lower = ll_lower(file);
	loff_t pos;

	lower->f_pos = file->f_pos;
	pos = vfs_llseek(lower, offset, whence);
	if (pos >= 0)
		file->f_pos = pos;
	return pos;
}

static int ll_readdir(struct file *file, struct dir_context *ctx)
{
	struct file *lower = ll_lower(file);

	lower->f_pos = ctx->pos;
	return iterate_dir(lower, ctx);
}

static int ll_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	return vfs_fsync_range(ll_lower(file), start, end, datasync);
}

static long ll_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);
	int rc;

	inode_lock(inode);
	rc = file_remove_privs(file);
	if (!rc)
		rc = vfs_fallocate(ll_lower(file), mode, offset, len);
	ll_refresh(inode);
	inode_unlock(inode);
	return rc;
}

const struct file_operations ll_file_ops = {
	.owner		= THIS_MODULE,
	.open		= ll_open,
	.release	= ll_release,
	.llseek		= ll_llseek,
	.read_iter	= ll_read_iter,
	.write_iter	= ll_write_iter,
	.mmap		= ll_mmap,
	.fsync		= ll_fsync,
	.fallocate	= ll_fallocate,
	.splice_read	= generic_file_splice_read,
	.splice_write	= iter_file_splice_write,
};

const struct file_operations ll_dir_fops = {
	.owner		= THIS_MODULE,
	.open		= ll_open,
	.release	= ll_release,
	.llseek		= ll_llseek,
	.read		= generic_read_dir,
	.iterate	= ll_readdir,	/* alone: the lower position is shared */
	.fsync		= ll_fsync,
};

const struct inode_operations ll_file_iops = {
	.getattr	= ll_getattr,
	.setattr	= ll_setattr,
	.listxattr	= ll_listxattr,
};
