// SPDX-License-Identifier: GPL-2.0-or-later
/* Lustre model: lfs, the client's command. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "lustreapi.h"
#include "model.h"

static int usage(FILE *to)
{
	fprintf(to,
		"lfs of the Lustre model. Commands:\n"
		"  lfs df [-h] [MOUNTPOINT]       free space, by target\n"
		"  lfs getstripe PATH...          on which OST a file is\n"
		"  lfs setstripe [-i OST] PATH... make a file on an OST, or set a directory's default\n"
		"  lfs --version\n");
	return to == stdout ? 0 : 2;
}

static void print_size(unsigned long long kib, bool human)
{
	static const char units[] = "KMGTP";
	double value = kib;
	int i = 0;

	if (!human) {
		printf(" %12llu", kib);
		return;
	}
	while (value >= 1024 && units[i + 1]) {
		value /= 1024;
		i++;
	}
	printf(" %11.1f%c", value, units[i]);
}

static int df_line(const char *name, const char *dir, const char *what,
		   bool human)
{
	struct statvfs st;
	unsigned long long unit, used;

	if (statvfs(dir, &st)) {
		fprintf(stderr, "lfs df: %s: %s\n", dir, strerror(errno));
		return 1;
	}
	unit = st.f_frsize;
	used = st.f_blocks - st.f_bfree;
	printf("%-20s", name);
	print_size(st.f_blocks * unit / 1024, human);
	print_size(used * unit / 1024, human);
	print_size(st.f_bavail * unit / 1024, human);
	printf(" %3llu%% %s\n",
	       used + st.f_bavail ? (used * 100 + used + st.f_bavail - 1) /
	       (used + st.f_bavail) : 0, what);
	return 0;
}

/* The value of svname= in the options of a started target. */
static bool svname_of(const struct mntent *m, char *name, size_t len)
{
	const char *opt = strstr(m->mnt_opts, "svname=");
	size_t n;

	if (!opt)
		return false;
	opt += strlen("svname=");
	n = strcspn(opt, ",");
	if (n >= len)
		return false;
	memcpy(name, opt, n);
	name[n] = '\0';
	return true;
}

static int cmd_df(int argc, char **argv)
{
	bool human = false, found = false;
	const char *only;
	struct mntent *m;
	FILE *mounts;
	int c, rc = 0;

	while ((c = getopt(argc, argv, "h")) != -1) {
		if (c != 'h')
			return usage(stderr);
		human = true;
	}
	only = optind < argc ? argv[optind] : NULL;
	mounts = setmntent("/proc/self/mounts", "r");
	if (!mounts) {
		perror("lfs df: /proc/self/mounts");
		return 1;
	}
	printf("%-20s %12s %12s %12s Use%% Mounted on\n", "UUID (Lustre model)",
	       human ? "bytes" : "1K-blocks", "Used", "Available");
	while ((m = getmntent(mounts))) {
		char name[64];

		if (strcmp(m->mnt_type, "lustre_tgt") ||
		    !svname_of(m, name, sizeof(name)))
			continue;
		strcat(name, "_UUID");
		rc |= df_line(name, m->mnt_dir, m->mnt_dir, human);
	}
	rewind(mounts);
	while ((m = getmntent(mounts))) {
		if (strcmp(m->mnt_type, "lustre") ||
		    (only && strcmp(only, m->mnt_dir)))
			continue;
		found = true;
		rc |= df_line("filesystem_summary:", m->mnt_dir, m->mnt_dir,
			      human);
	}
	endmntent(mounts);
	if (!found) {
		fprintf(stderr, "lfs df: no client mounted%s%s\n",
			only ? " on " : "", only ? only : "");
		return 1;
	}
	return rc;
}

static int cmd_getstripe(int argc, char **argv)
{
	int i, rc = 0;

	if (argc < 2)
		return usage(stderr);
	for (i = 1; i < argc; i++) {
		struct llapi_layout layout;
		struct stat st;
		int err = stat(argv[i], &st) ? -errno :
			  llapi_layout_get(argv[i], &layout);

		if (err == -ENODATA && S_ISDIR(st.st_mode)) {
			layout.stripe_count = 1;
			layout.ost_index = LLAPI_ANY_OST;
			err = 0;
		}
		if (err) {
			fprintf(stderr, "lfs getstripe: %s: %s\n", argv[i],
				err == -ENODATA || err == -EOPNOTSUPP ?
				"not on a mounted Lustre model" : strerror(-err));
			rc = 1;
			continue;
		}
		printf("%s\nlmm_stripe_count:  %u\n", argv[i],
		       layout.stripe_count);
		if (layout.ost_index == LLAPI_ANY_OST)
			printf("lmm_stripe_offset: -1\n");
		else
			printf("lmm_stripe_offset: %u\n", layout.ost_index);
		if (!S_ISDIR(st.st_mode))
			printf("\tobdidx\t\tobjid\n\t%6u\t\t%#llx\n",
			       layout.ost_index,
			       (unsigned long long)layout.object_id);
	}
	return rc;
}

static int cmd_setstripe(int argc, char **argv)
{
	long index = -1;
	char *end;
	int c, rc = 0;

	while ((c = getopt(argc, argv, "i:c:")) != -1) {
		long value = optarg ? strtol(optarg, &end, 10) : 0;

		if (c == '?')
			return usage(stderr);
		if (*end || end == optarg) {
			fprintf(stderr, "lfs setstripe: -%c %s: not a number\n",
				c, optarg);
			return 2;
		}
		if (c == 'i') {
			index = value;
		} else if (value != 1) {
			fprintf(stderr, "lfs setstripe: the Lustre model stripes over one OST only\n");
			return 2;
		}
	}
	if (optind == argc || index < -1 || index >= LLAPI_ANY_OST)
		return usage(stderr);
	for (; optind < argc; optind++) {
		const char *path = argv[optind];
		struct stat st;
		int err = 0;

		if (stat(path, &st)) {
			int fd = open(path, O_CREAT | O_EXCL | O_WRONLY |
				      O_CLOEXEC, 0666);

			if (fd < 0)
				err = -errno;
			else
				close(fd);
		} else if (!S_ISDIR(st.st_mode)) {
			err = -EEXIST;
		}
		if (!err)
			err = llapi_layout_set(path, index < 0 ? LLAPI_ANY_OST :
					       (uint16_t)index);
		if (err) {
			fprintf(stderr, "lfs setstripe: %s: %s\n", path,
				err == -ENXIO ? "no such OST" : strerror(-err));
			rc = 1;
		}
	}
	return rc;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr);
	if (!strcmp(argv[1], "--version"))
		return model_version("lfs");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))
		return usage(stdout);
	if (!strcmp(argv[1], "df"))
		return cmd_df(argc - 1, argv + 1);
	if (!strcmp(argv[1], "getstripe"))
		return cmd_getstripe(argc - 1, argv + 1);
	if (!strcmp(argv[1], "setstripe"))
		return cmd_setstripe(argc - 1, argv + 1);
	fprintf(stderr, "lfs: %s: not in the Lustre model\n", argv[1]);
	return usage(stderr);
}
