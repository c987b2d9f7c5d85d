/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_WATCH_H
#define MICA_RPROC_WATCH_H

#include "mica_rproc.h"

int mica_watch_init(struct mica_rproc *mica);
void mica_watch_start(struct mica_rproc *mica);
void mica_watch_hurry(struct mica_rproc *mica);
void mica_watch_stop(struct mica_rproc *mica);

#endif
