/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_SGI_H
#define MICA_RPROC_SGI_H

#include "mica_rproc.h"

/* The one of MICA firmware, in both directions. */
unsigned int mica_sgi_of_firmware(void);
u64 mica_sgi_target(const struct mica_rproc *mica);
void mica_sgi_send(const struct mica_rproc *mica, unsigned int number);

#endif
