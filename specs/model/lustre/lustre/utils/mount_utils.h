/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lustre model: what mkfs.lustre and mount.lustre know of a target. */
#ifndef _MODEL_MOUNT_UTILS_H
#define _MODEL_MOUNT_UTILS_H

#include <stdbool.h>
#include <stdint.h>

#define MOUNTDATA_DIR	"CONFIGS"
#define MOUNTDATA_FILE	"CONFIGS/mountdata"
#define MOUNTDATA_MAX	4096

/* What CONFIGS/mountdata says; text, one key=value a line. */
struct lustre_disk_data {
	char	 svname[32];	/* lustre-MDT0000, or MGS: also the label */
	char	 fsname[16];
	bool	 mgs, mdt, ost;
	uint16_t index;
	char	 mgsnode[256];
};

struct mkfs_opts {
	struct lustre_disk_data ldd;
	const char		*device;
	uint64_t		 size_kib;	/* 0: all of the device */
	const char		*mkfsoptions;	/* extra words for mke2fs */
	bool			 quiet;
};

/* What mount_osd_<name>.so exports, under "osd_ops". */
struct osd_ops {
	const char *name;	/* "osd-ldiskfs" */
	const char *modules;	/* to load before a mount */
	/* 0, -ENODATA when the device is no target, or another errno value. */
	int (*read)(const char *device, struct lustre_disk_data *ldd);
	/* 0, or an exit code; it has said what went wrong. */
	int (*make)(const struct mkfs_opts *opts);
};

const struct osd_ops *osd_load(void);
int ldd_parse(char *text, struct lustre_disk_data *ldd);
int ldd_print(const struct lustre_disk_data *ldd, char *buf, int len);
int run(char *const argv[], bool quiet);

#endif /* _MODEL_MOUNT_UTILS_H */
