/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_LIFECYCLE_H
#define MICA_RPROC_LIFECYCLE_H

#include <linux/remoteproc.h>

extern const struct rproc_ops mica_ops;

#endif
