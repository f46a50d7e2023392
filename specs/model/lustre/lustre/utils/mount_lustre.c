// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lustre model: mount.lustre, which mount(8) calls for -t lustre.
 *
 * DEVICE is a target's device or file, and starts a server; NID:/fsname mounts
 * the client.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model.h"
#include "mount_utils.h"

/* Options of mount(8) that are flags of mount(2). */
static const struct {
	const char	*name;
	unsigned long	 set, clear;
} flag_options[] = {
	{ "defaults", 0, 0 }, { "ro", MS_RDONLY, 0 }, { "rw", 0, MS_RDONLY },
	{ "nosuid", MS_NOSUID, 0 }, { "suid", 0, MS_NOSUID },
	{ "nodev", MS_NODEV, 0 }, { "dev", 0, MS_NODEV },
	{ "noexec", MS_NOEXEC, 0 }, { "exec", 0, MS_NOEXEC },
	{ "noatime", MS_NOATIME, 0 }, { "relatime", MS_RELATIME, 0 },
	{ "sync", MS_SYNCHRONOUS, 0 }, { "async", 0, MS_SYNCHRONOUS },
	{ "remount", MS_REMOUNT, 0 },
};

/* Lustre's and mount(8)'s own words that change nothing in the model. */
static const char *const ignored_options[] = {
	"loop", "auto", "noauto", "_netdev", "user_xattr", "nouser_xattr",
	"flock", "noflock", "localflock", "localrecov", "skip_lfsck",
	"nofail", "acl", "noacl",
};

static int parse_options(char *text, unsigned long *flags)
{
	char *word, *next;
	size_t i;

	for (word = strtok_r(text, ",", &next); word;
	     word = strtok_r(NULL, ",", &next)) {
		bool known = !strncmp(word, "x-", 2);

		for (i = 0; i < sizeof(flag_options) / sizeof(flag_options[0]); i++)
			if (!strcmp(word, flag_options[i].name)) {
				*flags |= flag_options[i].set;
				*flags &= ~flag_options[i].clear;
				known = true;
			}
		for (i = 0; i < sizeof(ignored_options) / sizeof(ignored_options[0]); i++)
			known |= !strcmp(word, ignored_options[i]);
		if (!known) {
			fprintf(stderr, "mount.lustre: option %s is not in the Lustre model\n",
				word);
			return 1;
		}
	}
	return 0;
}

static void load(const char *module)
{
	char *argv[] = { "modprobe", (char *)module, NULL };

	/* When it fails, mount(2) says ENODEV and we say the rest. */
	run(argv, false);
}

/*
 * A loop device for a file, which goes away with the mount. @fd stays open
 * until then; the mount holds the device itself.
 */
static int loop_for(const char *file, bool readonly, char *name, size_t len,
		    int *fd)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int backing = open(file, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	int tries, err = 0;

	for (tries = 0; control >= 0 && backing >= 0 && tries < 32; tries++) {
		struct loop_config config = {
			.fd = backing,
			.info.lo_flags = LO_FLAGS_AUTOCLEAR |
					 (readonly ? LO_FLAGS_READ_ONLY : 0),
		};
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		if (number < 0)
			break;
		snprintf(name, len, "/dev/loop%d", number);
		snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "%s",
			 file);
		*fd = open(name, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (*fd < 0)
			break;
		if (!ioctl(*fd, LOOP_CONFIGURE, &config)) {
			close(control);
			close(backing);
			return 0;
		}
		err = errno;
		close(*fd);
		if (err != EBUSY)	/* somebody took the number first */
			break;
	}
	fprintf(stderr, "mount.lustre: no loop device for %s: %s\n", file,
		strerror(err ? err : errno));
	return 1;
}

static int mount_client(const char *source, const char *dir,
			unsigned long flags)
{
	load("lustre");
	if (!mount(source, dir, "lustre", flags, NULL))
		return 0;
	fprintf(stderr, "mount.lustre: %s on %s: %s%s\n", source, dir,
		strerror(errno), errno == ENODEV ?
		": is the module lustre installed for this kernel, and are the targets started on this node?" : "");
	return 32;
}

static int mount_target(const char *device, const char *dir,
			unsigned long flags)
{
	const struct osd_ops *osd = osd_load();
	struct lustre_disk_data ldd;
	char options[128], loop[64];
	struct stat st;
	int rc, fd = -1;

	if (!osd)
		return 1;
	rc = osd->read(device, &ldd);
	if (rc) {
		fprintf(stderr, "mount.lustre: %s: %s\n", device,
			rc == -ENODATA ? "no target of the Lustre model on it, see mkfs.lustre" :
			strerror(-rc));
		return 1;
	}
	if (!stat(device, &st) && S_ISREG(st.st_mode)) {
		if (loop_for(device, flags & MS_RDONLY, loop, sizeof(loop), &fd))
			return 1;
		device = loop;
	}
	load(osd->modules);
	snprintf(options, sizeof(options), "svname=%s,osd=%s", ldd.svname,
		 osd->name);
	if (!mount(device, dir, "lustre_tgt", flags, options)) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	fprintf(stderr, "mount.lustre: %s (%s) on %s: %s; the kernel's log says more\n",
		device, ldd.svname, dir, errno == EEXIST ?
		"this target is started already" : strerror(errno));
	if (fd >= 0)
		close(fd);
	return 32;
}

int main(int argc, char **argv)
{
	unsigned long flags = 0;
	const char *source, *dir;
	int c;

	static const struct option options[] = {
		{ "version", no_argument, NULL, 'V' },
		{ }
	};

	while ((c = getopt_long(argc, argv, "o:fnsvV", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			if (parse_options(optarg, &flags))
				return 1;
			break;
		case 'f':
			return 0;	/* mount --fake */
		case 'n':
		case 's':
		case 'v':
			break;
		case 'V':
			return model_version("mount.lustre");
		default:
			return 1;
		}
	}
	/* mount(8) gives the source and the directory before the options. */
	if (argc - optind != 2) {
		fprintf(stderr, "usage: mount.lustre [-o OPTIONS] DEVICE|NID:/FSNAME DIRECTORY\n");
		return 1;
	}
	source = argv[optind];
	dir = argv[optind + 1];
	return strstr(source, ":/") ? mount_client(source, dir, flags) :
				      mount_target(source, dir, flags);
}
