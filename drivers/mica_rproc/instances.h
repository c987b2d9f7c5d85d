/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_INSTANCES_H
#define MICA_RPROC_INSTANCES_H

int mica_instances_create(void);
void mica_instances_destroy(void);

#endif
