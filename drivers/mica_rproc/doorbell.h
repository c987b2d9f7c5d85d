/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_DOORBELL_H
#define MICA_RPROC_DOORBELL_H

#include <linux/irqreturn.h>

#include "mica_rproc.h"

int mica_doorbell_init(struct mica_rproc *mica);
void mica_doorbell_add(struct mica_rproc *mica);
void mica_doorbell_remove(struct mica_rproc *mica);
void mica_doorbell_ring(struct mica_rproc *mica);

/*
 * The remoteproc core exports this function, but declares it only in its
 * private header.
 */
irqreturn_t rproc_vq_interrupt(struct rproc *rproc, int vq_id);

#endif
