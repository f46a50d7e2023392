/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lustre model: what programs may ask of a mounted client. */
#ifndef _LUSTRE_LUSTREAPI_H
#define _LUSTRE_LUSTREAPI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LLAPI_ANY_OST	0xffff

/* Where the bytes of a file are, or for a directory where new files go. */
struct llapi_layout {
	uint16_t ost_index;	/* LLAPI_ANY_OST: round robin */
	uint16_t stripe_count;	/* always 1 in the model */
	uint64_t object_id;	/* 0 on a directory */
};

/* All of them return 0, or an errno value below zero. */
int llapi_layout_get(const char *path, struct llapi_layout *layout);
int llapi_layout_set(const char *path, uint16_t ost_index);

/* Copy a file of /sys/fs/lustre, without the newline at its end. */
int llapi_get_param(const char *name, char *buf, size_t len);

#ifdef __cplusplus
}
#endif

#endif /* _LUSTRE_LUSTREAPI_H */
