/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lustre model: the list of devices, and how a server mounts its store. */
#ifndef _MODEL_OBD_CLASS_H
#define _MODEL_OBD_CLASS_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <libcfs/libcfs.h>

#define OBD_NAME_MAX	48

/* What an object storage back end does for the server. */
struct osd_type {
	struct list_head	 link;
	const char		*name;		/* "osd-ldiskfs" */
	const char		*fstype;	/* file system type it needs */
	struct module		*owner;
	/* A private mount of @dev, which must carry @label. */
	struct vfsmount		*(*mount)(const char *dev, const char *label,
					  bool readonly);
};

/* One line of `lctl dl`. */
struct obd_device {
	struct list_head	 link;
	struct kref		 refs;
	int			 minor;
	char			 type[16];
	char			 name[OBD_NAME_MAX];
	struct cfs_target	 target;
	struct vfsmount		*mnt;		/* NULL for a client */
	struct osd_type		*osd;		/* NULL for a client */
};

int class_register_osd(struct osd_type *osd);
void class_unregister_osd(struct osd_type *osd);

struct obd_device *class_attach(const char *type, const char *name);
void class_detach(struct obd_device *obd);
struct obd_device *class_find_target(const struct cfs_target *tgt);
struct obd_device *class_next_ost(const char *fsname, int after);
void class_put(struct obd_device *obd);

int class_tgt_init(void);
void class_tgt_exit(void);
struct osd_type *class_get_osd(const char *name);
void class_put_osd(struct osd_type *osd);

#endif /* _MODEL_OBD_CLASS_H */
