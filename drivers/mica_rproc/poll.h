/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_POLL_H
#define MICA_RPROC_POLL_H

#include "mica_rproc.h"

int mica_poll_init(struct mica_rproc *mica);
void mica_poll_start(struct mica_rproc *mica);
void mica_poll_hurry(struct mica_rproc *mica);
void mica_poll_stop(struct mica_rproc *mica);

#endif
