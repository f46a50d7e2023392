/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lustre model: what all programs share. */
#ifndef _MODEL_UTILS_H
#define _MODEL_UTILS_H

#include <stdio.h>

static inline int model_version(const char *program)
{
	printf("%s %s (Lustre model)\n", program, PACKAGE_VERSION);
	return 0;
}

#endif /* _MODEL_UTILS_H */
