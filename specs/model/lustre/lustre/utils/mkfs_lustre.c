// SPDX-License-Identifier: GPL-2.0-or-later
/* Lustre model: mkfs.lustre, which makes a target. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "model.h"
#include "mount_utils.h"

static int usage(FILE *to)
{
	fprintf(to,
		"mkfs.lustre of the Lustre model. Usage:\n"
		"  mkfs.lustre [--mgs] [--mdt | --ost] [options] DEVICE\n"
		"    --fsname=NAME        name of the file system (default: lustre)\n"
		"    --index=N            number of the target (default: 0)\n"
		"    --mgsnode=NID        where the MGS is; required without --mgs\n"
		"    --device-size=N      KiB, when DEVICE is a file to be made\n"
		"    --mkfsoptions=WORDS  more options for mke2fs\n"
		"    --backfstype=ldiskfs the only one the model has\n"
		"    --reformat           overwrite an older target\n"
		"    --quiet, --verbose, --version\n");
	return to == stdout ? 0 : 2;
}

enum {
	OPT_MGS = 256, OPT_MDT, OPT_OST, OPT_FSNAME, OPT_INDEX, OPT_MGSNODE,
	OPT_SIZE, OPT_MKFS, OPT_BACKFS, OPT_REFORMAT, OPT_QUIET, OPT_VERBOSE,
	OPT_VERSION, OPT_HELP,
};

static const struct option options[] = {
	{ "mgs",		no_argument,		NULL, OPT_MGS },
	{ "mdt",		no_argument,		NULL, OPT_MDT },
	{ "ost",		no_argument,		NULL, OPT_OST },
	{ "fsname",		required_argument,	NULL, OPT_FSNAME },
	{ "index",		required_argument,	NULL, OPT_INDEX },
	{ "mgsnode",		required_argument,	NULL, OPT_MGSNODE },
	{ "mgsnid",		required_argument,	NULL, OPT_MGSNODE },
	{ "device-size",	required_argument,	NULL, OPT_SIZE },
	{ "mkfsoptions",	required_argument,	NULL, OPT_MKFS },
	{ "backfstype",		required_argument,	NULL, OPT_BACKFS },
	{ "reformat",		no_argument,		NULL, OPT_REFORMAT },
	{ "quiet",		no_argument,		NULL, OPT_QUIET },
	{ "verbose",		no_argument,		NULL, OPT_VERBOSE },
	{ "version",		no_argument,		NULL, OPT_VERSION },
	{ "help",		no_argument,		NULL, OPT_HELP },
	{ }
};

static int bad(const char *what, const char *value)
{
	fprintf(stderr, "mkfs.lustre: %s: %s\n", value, what);
	return 2;
}

static int set_fsname(struct lustre_disk_data *ldd, const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '_')
			return bad("a file system's name has letters, digits and _ only", name);
	if (c == name || c - name > 8)
		return bad("a file system's name has 1 to 8 characters", name);
	strcpy(ldd->fsname, name);
	return 0;
}

static int parse(int argc, char **argv, struct mkfs_opts *o, bool *reformat)
{
	struct lustre_disk_data *ldd = &o->ldd;
	unsigned long long value;
	char *end;
	int c;

	strcpy(ldd->fsname, "lustre");
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case OPT_MGS:		ldd->mgs = true; break;
		case OPT_MDT:		ldd->mdt = true; break;
		case OPT_OST:		ldd->ost = true; break;
		case OPT_MKFS:		o->mkfsoptions = optarg; break;
		case OPT_REFORMAT:	*reformat = true; break;
		case OPT_QUIET:		o->quiet = true; break;
		case OPT_VERBOSE:	o->quiet = false; break;
		case OPT_VERSION:	exit(model_version("mkfs.lustre"));
		case OPT_HELP:		exit(usage(stdout));
		case OPT_FSNAME:
			if (set_fsname(ldd, optarg))
				return 2;
			break;
		case OPT_MGSNODE:
			if (strlen(optarg) >= sizeof(ldd->mgsnode) ||
			    strchr(optarg, '\n'))
				return bad("not a NID", optarg);
			strcpy(ldd->mgsnode, optarg);
			break;
		case OPT_BACKFS:
			if (strcmp(optarg, "ldiskfs"))
				return bad("the Lustre model has ldiskfs only", optarg);
			break;
		case OPT_INDEX:
		case OPT_SIZE:
			errno = 0;
			value = strtoull(optarg, &end, 0);
			if (errno || *end || end == optarg || *optarg == '-')
				return bad("not a number", optarg);
			if (c == OPT_SIZE)
				o->size_kib = value;
			else if (value >= 0xffff)
				return bad("the index is too large", optarg);
			else
				ldd->index = value;
			break;
		default:
			return usage(stderr);
		}
	}
	if (optind != argc - 1)
		return usage(stderr);
	o->device = argv[optind];
	if (ldd->mdt && ldd->ost)
		return bad("either --mdt or --ost", o->device);
	if (!ldd->mdt && !ldd->ost && !ldd->mgs)
		return bad("one of --mgs, --mdt and --ost is required", o->device);
	if (ldd->ost && ldd->mgs)
		return bad("the MGS lives alone or with an MDT", o->device);
	if (ldd->mdt && ldd->index)
		return bad("the Lustre model has one MDT, with index 0", o->device);
	if (!ldd->mgs && !ldd->mgsnode[0])
		return bad("--mgsnode or --mgs is required", o->device);
	if (ldd->mdt || ldd->ost)
		snprintf(ldd->svname, sizeof(ldd->svname), "%.8s-%s%04x",
			 ldd->fsname, ldd->mdt ? "MDT" : "OST", ldd->index);
	else
		strcpy(ldd->svname, "MGS");
	return 0;
}

int main(int argc, char **argv)
{
	struct mkfs_opts opts = { .quiet = false };
	struct lustre_disk_data older;
	const struct osd_ops *osd;
	bool reformat = false;
	struct stat st;
	int rc;

	rc = parse(argc, argv, &opts, &reformat);
	if (rc)
		return rc;
	osd = osd_load();
	if (!osd)
		return 1;
	if (stat(opts.device, &st)) {
		if (!opts.size_kib)
			return bad("does not exist; with --device-size=KIB a file is made",
				   opts.device);
	} else if (S_ISBLK(st.st_mode)) {
		opts.size_kib = 0;
	} else if (!S_ISREG(st.st_mode)) {
		return bad("neither a block device nor a file", opts.device);
	}
	if (!reformat && !osd->read(opts.device, &older)) {
		fprintf(stderr, "mkfs.lustre: %s already holds %s; --reformat overwrites it\n",
			opts.device, older.svname);
		return 1;
	}
	if (!opts.quiet)
		printf("\n   Permanent disk data (Lustre model):\nTarget:     %s\nIndex:      %u\nLustre FS:  %s\nMount type: ldiskfs\nRoles:     %s%s%s\nMGS:        %s\n\n",
		       opts.ldd.svname, opts.ldd.index, opts.ldd.fsname,
		       opts.ldd.mgs ? " MGS" : "", opts.ldd.mdt ? " MDT" : "",
		       opts.ldd.ost ? " OST" : "",
		       opts.ldd.mgs ? "this node" : opts.ldd.mgsnode);
	rc = osd->make(&opts);
	if (!rc && !opts.quiet)
		printf("Writing CONFIGS/mountdata\n");
	return rc;
}
