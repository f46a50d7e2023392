// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lustre model: the list of devices and of back ends, and /sys/fs/lustre.
 */
#include <linux/fs.h>
#include <linux/fs_query.h>
#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <lustre_ver.h>
#include <obd_class.h>

static DEFINE_MUTEX(obd_lock);	/* both lists, and every minor */
static LIST_HEAD(obd_devices);	/* ordered by minor */
static LIST_HEAD(osd_types);
static struct kobject *lustre_kobj;

int class_register_osd(struct osd_type *osd)
{
	mutex_lock(&obd_lock);
	list_add_tail(&osd->link, &osd_types);
	mutex_unlock(&obd_lock);
	return 0;
}
EXPORT_SYMBOL_GPL(class_register_osd);

void class_unregister_osd(struct osd_type *osd)
{
	mutex_lock(&obd_lock);
	list_del(&osd->link);
	mutex_unlock(&obd_lock);
}
EXPORT_SYMBOL_GPL(class_unregister_osd);

/* The back end called @name, its module pinned, or NULL. */
struct osd_type *class_get_osd(const char *name)
{
	struct osd_type *osd, *found = NULL;

	mutex_lock(&obd_lock);
	list_for_each_entry(osd, &osd_types, link)
		if (!strcmp(osd->name, name) && try_module_get(osd->owner))
			found = osd;
	mutex_unlock(&obd_lock);
	if (found && !fs_type_registered(found->fstype))
		pr_warn("Lustre model: %s is loaded, but file system %s is not\n",
			name, found->fstype);
	return found;
}

void class_put_osd(struct osd_type *osd)
{
	module_put(osd->owner);
}

/**
 * class_attach - add a device to the list
 * @type: "osd-ldiskfs" or "llite"
 * @name: its name, which must be new
 *
 * Return: the device with one reference, dropped by class_detach(), or
 * -EEXIST, -ENAMETOOLONG or -ENOMEM.
 */
struct obd_device *class_attach(const char *type, const char *name)
{
	struct obd_device *obd, *other;
	struct list_head *before = &obd_devices;
	int minor = 0;

	obd = kzalloc(sizeof(*obd), GFP_KERNEL);
	if (!obd)
		return ERR_PTR(-ENOMEM);
	kref_init(&obd->refs);
	if (strscpy(obd->type, type, sizeof(obd->type)) < 0 ||
	    strscpy(obd->name, name, sizeof(obd->name)) < 0) {
		kfree(obd);
		return ERR_PTR(-ENAMETOOLONG);
	}

	mutex_lock(&obd_lock);
	list_for_each_entry(other, &obd_devices, link) {
		if (!strcmp(other->name, name)) {
			mutex_unlock(&obd_lock);
			kfree(obd);
			return ERR_PTR(-EEXIST);
		}
		/* The first free minor, with the list kept in order. */
		if (before == &obd_devices && other->minor != minor)
			before = &other->link;
		else if (before == &obd_devices)
			minor++;
	}
	obd->minor = minor;
	list_add_tail(&obd->link, before);
	mutex_unlock(&obd_lock);
	return obd;
}
EXPORT_SYMBOL_GPL(class_attach);

static void class_release(struct kref *refs)
{
	struct obd_device *obd = container_of(refs, struct obd_device, refs);

	if (obd->mnt)
		mntput(obd->mnt);
	if (obd->osd)
		class_put_osd(obd->osd);
	kfree(obd);
}

void class_put(struct obd_device *obd)
{
	kref_put(&obd->refs, class_release);
}
EXPORT_SYMBOL_GPL(class_put);

/* Off the list. Clients that still use the device keep it alive. */
void class_detach(struct obd_device *obd)
{
	mutex_lock(&obd_lock);
	list_del_init(&obd->link);
	mutex_unlock(&obd_lock);
	class_put(obd);
}
EXPORT_SYMBOL_GPL(class_detach);

/* The started target with that name, with a reference, or NULL. */
struct obd_device *class_find_target(const struct cfs_target *tgt)
{
	struct obd_device *obd, *found = NULL;

	mutex_lock(&obd_lock);
	list_for_each_entry(obd, &obd_devices, link)
		if (obd->mnt && obd->target.role == tgt->role &&
		    obd->target.index == tgt->index &&
		    !strcmp(obd->target.fsname, tgt->fsname)) {
			kref_get(&obd->refs);
			found = obd;
			break;
		}
	mutex_unlock(&obd_lock);
	return found;
}
EXPORT_SYMBOL_GPL(class_find_target);

/* The started OST of @fsname with the lowest index above @after, or NULL. */
struct obd_device *class_next_ost(const char *fsname, int after)
{
	struct obd_device *obd, *found = NULL;

	mutex_lock(&obd_lock);
	list_for_each_entry(obd, &obd_devices, link)
		if (obd->mnt && obd->target.role == CFS_OST &&
		    obd->target.index > after &&
		    !strcmp(obd->target.fsname, fsname) &&
		    (!found || obd->target.index < found->target.index))
			found = obd;
	if (found)
		kref_get(&found->refs);
	mutex_unlock(&obd_lock);
	return found;
}
EXPORT_SYMBOL_GPL(class_next_ost);

static ssize_t version_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%s\n", LUSTRE_VERSION_STRING);
}

/* Unhealthy: a target mounted for writing, which its store has made read-only. */
static ssize_t health_check_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	struct obd_device *obd;
	const char *sick = NULL;
	ssize_t n;

	mutex_lock(&obd_lock);
	list_for_each_entry(obd, &obd_devices, link)
		if (obd->mnt && sb_rdonly(obd->mnt->mnt_sb) &&
		    !(obd->mnt->mnt_flags & MNT_READONLY))
			sick = obd->name;
	n = sick ? sysfs_emit(buf, "device %s reported unhealthy\n", sick) :
		   sysfs_emit(buf, "healthy\n");
	mutex_unlock(&obd_lock);
	return n;
}

static ssize_t devices_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	struct obd_device *obd;
	ssize_t n = 0;

	mutex_lock(&obd_lock);
	list_for_each_entry(obd, &obd_devices, link)
		n += sysfs_emit_at(buf, n, "%3d UP %s %s %s %u\n", obd->minor,
				   obd->type, obd->name,
				   obd->mnt ? mnt_source_name(obd->mnt) : "-",
				   kref_read(&obd->refs));
	mutex_unlock(&obd_lock);
	return n;
}

static struct kobj_attribute version_attr = __ATTR_RO(version);
static struct kobj_attribute health_check_attr = __ATTR_RO(health_check);
static struct kobj_attribute devices_attr = __ATTR_RO(devices);

static const struct attribute *lustre_attrs[] = {
	&version_attr.attr,
	&health_check_attr.attr,
	&devices_attr.attr,
	NULL,
};

static int __init obdclass_init(void)
{
	int rc;

	lustre_kobj = kobject_create_and_add("lustre", fs_kobj);
	if (!lustre_kobj)
		return -ENOMEM;
	rc = sysfs_create_files(lustre_kobj, lustre_attrs);
	if (!rc)
		rc = class_tgt_init();
	if (rc) {
		kobject_put(lustre_kobj);
		return rc;
	}
	pr_info("Lustre model: Build Version: %s\n", LUSTRE_VERSION_STRING);
	return 0;
}

static void __exit obdclass_exit(void)
{
	class_tgt_exit();
	sysfs_remove_files(lustre_kobj, lustre_attrs);
	kobject_put(lustre_kobj);
}

MODULE_AUTHOR("lustre-repo");
MODULE_DESCRIPTION("Lustre model: devices and targets");
MODULE_VERSION(LUSTRE_VERSION_STRING);
MODULE_LICENSE("GPL");

module_init(obdclass_init);
module_exit(obdclass_exit);
