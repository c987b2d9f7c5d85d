/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_GIC_H
#define MICA_RPROC_GIC_H

#include "mica_rproc.h"

int mica_gic_init(struct mica_rproc *mica);
void mica_gic_reset(struct mica_rproc *mica);
void mica_gic_enable_sgi(struct mica_rproc *mica, unsigned int sgi);

#endif
