/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lustre model: names of targets, shared by all modules. */
#ifndef _MODEL_LIBCFS_H
#define _MODEL_LIBCFS_H

#include <linux/types.h>

#define LUSTRE_MAXFSNAME	8
/* "fsname-MDT0000" and its terminator; an ext4 label holds 16 bytes. */
#define LUSTRE_MAXTGTNAME	17

enum cfs_role {
	CFS_MGS,
	CFS_MDT,
	CFS_OST,
};

struct cfs_target {
	char		fsname[LUSTRE_MAXFSNAME + 1];
	enum cfs_role	role;
	u16		index;
};

int cfs_target_parse(const char *name, struct cfs_target *tgt);
int cfs_target_name(const struct cfs_target *tgt, char *buf, size_t len);
int cfs_fsname_from_source(const char *source, char *fsname, size_t len);

#endif /* _MODEL_LIBCFS_H */
