// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lustre model: mount_osd_ldiskfs.so, targets on ldiskfs.
 *
 * mke2fs and debugfs make a target, libext2fs reads one.
 */
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "mount_utils.h"

#define MAX_ARGS 48

static int ldiskfs_read(const char *device, struct lustre_disk_data *ldd)
{
	char text[MOUNTDATA_MAX + 1];
	unsigned int got = 0;
	ext2_filsys fs;
	ext2_file_t file;
	ext2_ino_t ino;
	errcode_t err;

	err = ext2fs_open(device, EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES,
			  0, 0, unix_io_manager, &fs);
	if (err)
		return err == EXT2_ET_BAD_MAGIC ? -ENODATA :
		       err < 256 ? -(int)err : -EIO;
	err = ext2fs_namei(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, MOUNTDATA_FILE,
			   &ino);
	if (err) {
		ext2fs_close_free(&fs);
		return err == EXT2_ET_FILE_NOT_FOUND ? -ENODATA : -EIO;
	}
	err = ext2fs_file_open(fs, ino, 0, &file);
	if (!err) {
		err = ext2fs_file_read(file, text, MOUNTDATA_MAX, &got);
		ext2fs_file_close(file);
	}
	ext2fs_close_free(&fs);
	if (err)
		return -EIO;
	text[got] = '\0';
	return ldd_parse(text, ldd);
}

static int ldiskfs_format(const struct mkfs_opts *opts)
{
	char *argv[MAX_ARGS + 8], *words = NULL, *word, *next;
	char label[32], size[32];
	int n = 0, rc;

	snprintf(label, sizeof(label), "%s", opts->ldd.svname);
	argv[n++] = "mke2fs";
	argv[n++] = "-F";
	argv[n++] = "-t";
	argv[n++] = "ext4";
	argv[n++] = "-b";
	argv[n++] = "4096";
	argv[n++] = "-L";
	argv[n++] = label;
	argv[n++] = "-E";
	argv[n++] = "lazy_itable_init=0,lazy_journal_init=0";
	/* A feature only ldiskfs mounts: nobody takes an MDT for an ext4. */
	if (opts->ldd.mdt) {
		argv[n++] = "-O";
		argv[n++] = "dirdata";
	}
	if (opts->mkfsoptions) {
		words = strdup(opts->mkfsoptions);
		for (word = strtok_r(words, " ", &next);
		     word && n < MAX_ARGS; word = strtok_r(NULL, " ", &next))
			argv[n++] = word;
	}
	argv[n++] = (char *)opts->device;
	if (opts->size_kib) {
		snprintf(size, sizeof(size), "%lluk",
			 (unsigned long long)opts->size_kib);
		argv[n++] = size;
	}
	argv[n] = NULL;
	rc = run(argv, opts->quiet);
	free(words);
	if (rc)
		fprintf(stderr, "mkfs.lustre: mke2fs ended with %d on %s%s\n",
			rc, opts->device, opts->ldd.mdt ?
			"; an MDT needs the dirdata feature, which e2fsprogs for Lustre (ldiskfsprogs) has" : "");
	return rc;
}

/* Put mountdata and the directories of a target on a fresh file system. */
static int ldiskfs_fill(const struct mkfs_opts *opts)
{
	char text[MOUNTDATA_MAX], data[] = "/tmp/lustre-model-XXXXXX";
	char script[512];
	char list[] = "/tmp/lustre-model-XXXXXX";
	char *argv[] = { "debugfs", "-w", "-f", list, (char *)opts->device,
			 NULL };
	struct lustre_disk_data found;
	int len = ldd_print(&opts->ldd, text, sizeof(text));
	int fd, n, rc;

	fd = mkstemp(data);
	if (len < 0 || fd < 0 || write(fd, text, len) != len) {
		perror("mkfs.lustre: temporary file");
		return 1;
	}
	close(fd);
	n = snprintf(script, sizeof(script),
		     "mkdir %s\nwrite %s %s\nset_inode_field %s mode 0100600\n%s%s",
		     MOUNTDATA_DIR, data, MOUNTDATA_FILE, MOUNTDATA_FILE,
		     opts->ldd.mdt ? "mkdir ROOT\n" : "",
		     opts->ldd.ost ? "mkdir O\nset_inode_field O mode 040700\n" : "");
	fd = mkstemp(list);
	if (fd < 0 || write(fd, script, n) != n) {
		perror("mkfs.lustre: temporary file");
		unlink(data);
		return 1;
	}
	close(fd);
	rc = run(argv, true);
	unlink(data);
	unlink(list);
	/* debugfs ends with 0 whatever its commands did: read it back. */
	if (!rc && (ldiskfs_read(opts->device, &found) ||
		    strcmp(found.svname, opts->ldd.svname)))
		rc = 1;
	if (rc)
		fprintf(stderr, "mkfs.lustre: cannot write %s on %s\n",
			MOUNTDATA_FILE, opts->device);
	return rc;
}

static int ldiskfs_make(const struct mkfs_opts *opts)
{
	int rc = ldiskfs_format(opts);

	return rc ? rc : ldiskfs_fill(opts);
}

const struct osd_ops osd_ops = {
	.name		= "osd-ldiskfs",
	.modules	= "osd_ldiskfs",
	.read		= ldiskfs_read,
	.make		= ldiskfs_make,
};
