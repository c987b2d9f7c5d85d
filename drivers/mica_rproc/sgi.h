/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_SGI_H
#define MICA_RPROC_SGI_H

#include "mica_rproc.h"

void mica_sgi_send(const struct mica_rproc *mica, unsigned int number);

#endif
