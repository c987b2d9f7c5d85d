/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_PHASE_H
#define MICA_RPROC_PHASE_H

#include <linux/compiler.h>

#include "mica_rproc.h"

bool mica_phase_enter(struct mica_rproc *mica, enum mica_phase from,
		      enum mica_phase to);
void mica_phase_finish(struct mica_rproc *mica);

static inline enum mica_phase mica_phase(const struct mica_rproc *mica)
{
	return READ_ONCE(mica->phase);
}

#endif
