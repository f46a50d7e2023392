// SPDX-License-Identifier: GPL-2.0-or-later
/* Lustre model: lctl, the administrator's command. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "lustreapi.h"
#include "model.h"

static int usage(FILE *to)
{
	fprintf(to,
		"lctl of the Lustre model. Commands:\n"
		"  lctl dl                        devices of this node\n"
		"  lctl get_param [-n] NAME...    version, health_check, devices\n"
		"  lctl --version\n");
	return to == stdout ? 0 : 2;
}

static int read_param(const char *name, char *buf, size_t len)
{
	int rc = llapi_get_param(name, buf, len);

	if (!rc)
		return 0;
	if (rc == -ENOENT)
		fprintf(stderr, "lctl: no parameter %s: is the module obdclass loaded?\n",
			name);
	else
		fprintf(stderr, "lctl: %s: %s\n", name, strerror(-rc));
	return 1;
}

int main(int argc, char **argv)
{
	const char *cmd = argc > 1 ? argv[1] : "";
	char buf[4096];
	int values_only = 0, rc = 0, i = 2;

	if (!strcmp(cmd, "--version"))
		return model_version("lctl");
	if (!strcmp(cmd, "--help") || !strcmp(cmd, "help"))
		return usage(stdout);
	if (!strcmp(cmd, "dl") || !strcmp(cmd, "device_list")) {
		rc = read_param("devices", buf, sizeof(buf));
		if (!rc && buf[0])
			puts(buf);
		return rc;
	}
	if (strcmp(cmd, "get_param")) {
		if (*cmd)
			fprintf(stderr, "lctl: %s: not in the Lustre model\n", cmd);
		return usage(stderr);
	}
	if (i < argc && !strcmp(argv[i], "-n")) {
		values_only = 1;
		i++;
	}
	if (i == argc)
		return usage(stderr);
	for (; i < argc; i++) {
		if (read_param(argv[i], buf, sizeof(buf)))
			rc = 1;
		else if (values_only)
			puts(buf);
		else
			printf("%s=%s\n", argv[i], buf);
	}
	return rc;
}
