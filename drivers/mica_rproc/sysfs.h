/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_SYSFS_H
#define MICA_RPROC_SYSFS_H

struct attribute_group;

extern const struct attribute_group *mica_groups[];

#endif
