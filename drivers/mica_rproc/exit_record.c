// SPDX-License-Identifier: GPL-2.0-only
/*
 * Why a run ended: the record that the firmware leaves in its RAM, and the
 * names that user space sees.
 */
#include <linux/compiler.h>
#include <asm/byteorder.h>

#include "exit_record.h"

#define RECORD_MAGIC	0x5458454d	/* "MEXT" */
#define RECORD_FAULT	1

static const char * const reason_names[] = {
	[MICA_EXIT_NONE] = "none",
	[MICA_EXIT_EXITED] = "exited",
	[MICA_EXIT_FAULT] = "fault",
	[MICA_EXIT_STOPPED] = "stopped",
	[MICA_EXIT_KILLED] = "killed",
};

const char *mica_exit_reason_name(enum mica_exit_reason reason)
{
	return reason_names[reason];
}

static const struct mica_exit_record *
find_record(const struct mica_rproc *mica)
{
	return mica->exit_record ?
	       mica_region_va(&mica->ram, mica->exit_record) : NULL;
}

bool mica_exit_record_written(const struct mica_rproc *mica)
{
	const struct mica_exit_record *record = find_record(mica);

	return record && le32_to_cpu(READ_ONCE(record->magic)) == RECORD_MAGIC;
}

/* Firmware that goes off without a record has exited with status 0. */
struct mica_exit mica_exit_record_read(const struct mica_rproc *mica)
{
	const struct mica_exit_record *record = find_record(mica);
	struct mica_exit exit = { .reason = MICA_EXIT_EXITED };

	if (!mica_exit_record_written(mica))
		return exit;
	if (le32_to_cpu(READ_ONCE(record->kind)) == RECORD_FAULT)
		exit.reason = MICA_EXIT_FAULT;
	exit.status = le32_to_cpu(READ_ONCE(record->status)) & 0xff;
	return exit;
}
