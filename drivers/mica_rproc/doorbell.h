/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_DOORBELL_H
#define MICA_RPROC_DOORBELL_H

#include "mica_rproc.h"

int mica_doorbell_init(struct mica_rproc *mica);
void mica_doorbell_add(struct mica_rproc *mica);
void mica_doorbell_remove(struct mica_rproc *mica);
void mica_doorbell_clear(struct mica_rproc *mica);
void mica_doorbell_ring(struct mica_rproc *mica);
#endif
