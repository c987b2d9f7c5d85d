/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_HOTPLUG_H
#define MICA_RPROC_HOTPLUG_H

#include "mica_rproc.h"

int mica_hotplug_init(void);
void mica_hotplug_exit(void);
int mica_hotplug_add(struct mica_rproc *mica);

#endif
