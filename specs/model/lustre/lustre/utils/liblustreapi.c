// SPDX-License-Identifier: GPL-2.0-or-later
/* Lustre model: liblustreapi. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "lustreapi.h"

#define LOV_XATTR	"lustre.lov"
#define LOV_MAGIC	0x4d4f444c
#define PARAM_DIR	"/sys/fs/lustre"

/* As struct ll_lov of the client: little endian, 24 bytes. */
struct lov {
	uint32_t magic;
	uint16_t ost;
	uint16_t stripe_count;
	uint64_t object;
	uint32_t generation;
	uint32_t reserved;
};

int llapi_layout_get(const char *path, struct llapi_layout *layout)
{
	struct lov lov;
	ssize_t n = getxattr(path, LOV_XATTR, &lov, sizeof(lov));

	if (n < 0)
		return -errno;
	if (n != sizeof(lov) || le32toh(lov.magic) != LOV_MAGIC)
		return -EPROTO;
	layout->ost_index = le16toh(lov.ost);
	layout->stripe_count = le16toh(lov.stripe_count);
	layout->object_id = le64toh(lov.object);
	return 0;
}

int llapi_layout_set(const char *path, uint16_t ost_index)
{
	struct lov lov = {
		.magic = htole32(LOV_MAGIC),
		.ost = htole16(ost_index),
		.stripe_count = htole16(1),
	};

	return setxattr(path, LOV_XATTR, &lov, sizeof(lov), 0) ? -errno : 0;
}

int llapi_get_param(const char *name, char *buf, size_t len)
{
	char path[256];
	ssize_t n;
	int fd;

	if (!len || strchr(name, '/') || name[0] == '.' ||
	    snprintf(path, sizeof(path), PARAM_DIR "/%s", name) >=
	    (int)sizeof(path))
		return -EINVAL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, len - 1);
	if (n < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	close(fd);
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return 0;
}
