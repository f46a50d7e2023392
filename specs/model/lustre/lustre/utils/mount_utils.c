// SPDX-License-Identifier: GPL-2.0-or-later
/* Lustre model: shared by mkfs.lustre and mount.lustre. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mount_utils.h"

#define PLUGIN PLUGIN_DIR "/mount_osd_ldiskfs.so"

/* The back end, or NULL after saying why there is none. */
const struct osd_ops *osd_load(void)
{
	void *lib = dlopen(PLUGIN, RTLD_NOW);
	const struct osd_ops *ops;

	if (!lib) {
		fprintf(stderr, "%s\nIs the package lustre-osd-ldiskfs-mount installed?\n",
			dlerror());
		return NULL;
	}
	ops = dlsym(lib, "osd_ops");
	if (!ops)
		fprintf(stderr, "%s: no osd_ops in it\n", PLUGIN);
	return ops;
}

static int copy(char *to, size_t len, const char *from)
{
	if (strlen(from) >= len)
		return -EINVAL;
	strcpy(to, from);
	return 0;
}

/* Text of CONFIGS/mountdata to a struct; the text is taken apart. */
int ldd_parse(char *text, struct lustre_disk_data *ldd)
{
	bool magic = false;
	char *line, *next;
	int rc = 0;

	memset(ldd, 0, sizeof(*ldd));
	for (line = strtok_r(text, "\n", &next); line && !rc;
	     line = strtok_r(NULL, "\n", &next)) {
		char *value = strchr(line, '=');

		if (!value)
			return -EINVAL;
		*value++ = '\0';
		if (!strcmp(line, "format"))
			magic = !strcmp(value, "lustre-model-1");
		else if (!strcmp(line, "svname"))
			rc = copy(ldd->svname, sizeof(ldd->svname), value);
		else if (!strcmp(line, "fsname"))
			rc = copy(ldd->fsname, sizeof(ldd->fsname), value);
		else if (!strcmp(line, "mgsnode"))
			rc = copy(ldd->mgsnode, sizeof(ldd->mgsnode), value);
		else if (!strcmp(line, "index"))
			ldd->index = strtoul(value, NULL, 16);
		else if (!strcmp(line, "mgs"))
			ldd->mgs = true;
		else if (!strcmp(line, "mdt"))
			ldd->mdt = true;
		else if (!strcmp(line, "ost"))
			ldd->ost = true;
		else
			rc = -EINVAL;
	}
	return rc ? rc : magic && ldd->svname[0] ? 0 : -EINVAL;
}

/* Length of the text, or -1 when @len is too small. */
int ldd_print(const struct lustre_disk_data *ldd, char *buf, int len)
{
	int n = snprintf(buf, len,
			 "format=lustre-model-1\nsvname=%s\nfsname=%s\nindex=%04x\nmgsnode=%s\n%s%s%s",
			 ldd->svname, ldd->fsname, ldd->index, ldd->mgsnode,
			 ldd->mgs ? "mgs=1\n" : "", ldd->mdt ? "mdt=1\n" : "",
			 ldd->ost ? "ost=1\n" : "");

	return n < len ? n : -1;
}

/* Run a program. Its exit code, or 127 when it cannot be run. */
int run(char *const argv[], bool quiet)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		return 127;
	}
	if (!pid) {
		if (quiet) {
			int null = open("/dev/null", O_WRONLY);

			if (null >= 0)
				dup2(null, STDOUT_FILENO);
		}
		execvp(argv[0], argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}
