/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The layout of the memory that Linux and the firmware share. MICA firmware
 * maps the first 192 KiB of it.
 */
#ifndef MICA_RPROC_MEMORY_H
#define MICA_RPROC_MEMORY_H

#include <linux/sizes.h>

#include "mica_rproc.h"

#define MICA_VRING0_OFFSET	0x8000
#define MICA_VRING1_OFFSET	0x10000
#define MICA_VRING_SIZE		0x8000
#define MICA_BUFFER_OFFSET	0x18000
#define MICA_SHM_MIN		0x20000
#define MICA_MONITOR_SIZE	0x10000

int mica_memory_init(struct mica_rproc *mica, const struct mica_config *config);
int mica_memory_add_carveouts(struct mica_rproc *mica);
void mica_memory_add_dump(struct mica_rproc *mica);
void *mica_memory_va(struct mica_rproc *mica, u64 addr, size_t len);

static inline size_t mica_buffer_size(const struct mica_rproc *mica)
{
	return mica->shm.size - MICA_BUFFER_OFFSET;
}

#endif
