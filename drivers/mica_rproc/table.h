/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_TABLE_H
#define MICA_RPROC_TABLE_H

#include "mica_rproc.h"

int mica_table_check(struct mica_rproc *mica,
		     const struct resource_table *table, size_t size);

#endif
