/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_EXIT_RECORD_H
#define MICA_RPROC_EXIT_RECORD_H

#include "mica_rproc.h"

/* What firmware leaves in its RAM before it goes off: docs/FIRMWARE.md */
struct mica_exit_record {
	__le32 magic;
	__le32 kind;
	__le32 status;
	__le32 reserved;
};

bool mica_exit_record_written(const struct mica_rproc *mica);
struct mica_exit mica_exit_record_read(const struct mica_rproc *mica);
const char *mica_exit_reason_name(enum mica_exit_reason reason);

#endif
