/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_VRINGS_H
#define MICA_RPROC_VRINGS_H

#include "mica_rproc.h"

bool mica_vrings_look(struct mica_rproc *mica);

#endif
