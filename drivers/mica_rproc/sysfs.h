/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_SYSFS_H
#define MICA_RPROC_SYSFS_H

#include "mica_rproc.h"

struct attribute_group;

extern const struct attribute_group *mica_groups[];

int mica_sysfs_init(struct mica_rproc *mica);

#endif
