// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notices a core that went off by itself, finds out why, and tells user space.
 */
#include <linux/jiffies.h>
#include <linux/kobject.h>
#include <linux/remoteproc.h>
#include <linux/sysfs.h>

#include "mica_rproc.h"

#define WATCH_INTERVAL_MS	100

/* What firmware leaves in its RAM before it goes off: docs/FIRMWARE.md */
#define RECORD_MAGIC	0x5458454d	/* "MEXT" */
#define RECORD_FAULT	1

struct exit_record {
	__le32 magic;
	__le32 kind;
	__le32 status;
	__le32 reserved;
};

static struct exit_record *find_record(struct mica_rproc *mica)
{
	return mica->exit_record ?
	       mica_region_va(&mica->ram, mica->exit_record) : NULL;
}

bool mica_exit_record_written(struct mica_rproc *mica)
{
	struct exit_record *record = find_record(mica);

	return record && le32_to_cpu(READ_ONCE(record->magic)) == RECORD_MAGIC;
}

/* Firmware that leaves no record and goes off has exited with status 0. */
struct mica_exit mica_read_exit(struct mica_rproc *mica)
{
	struct exit_record *record = find_record(mica);
	struct mica_exit exit = { .reason = MICA_EXIT_EXITED };

	if (!mica_exit_record_written(mica))
		return exit;
	if (le32_to_cpu(READ_ONCE(record->kind)) == RECORD_FAULT)
		exit.reason = MICA_EXIT_FAULT;
	exit.status = le32_to_cpu(READ_ONCE(record->status)) & 0xff;
	return exit;
}

static void notify_user_space(struct mica_rproc *mica, struct mica_exit exit)
{
	struct rproc *rproc = mica->rproc;
	char reason[32], status[16];
	char *env[3] = { reason, status, NULL };

	snprintf(reason, sizeof(reason), "EXIT_REASON=%s",
		 mica_exit_reason_name(exit.reason));
	snprintf(status, sizeof(status), "EXIT_STATUS=%u", exit.status);
	kobject_uevent_env(&rproc->dev.kobj, KOBJ_CHANGE, env);
	sysfs_notify(&rproc->dev.kobj, NULL, "state");
	sysfs_notify(&mica->dev->kobj, NULL, "exit_reason");
}

/*
 * A fault makes a crashed remoteproc, for user space to stop (or to recover,
 * if it has asked for that). An exit makes a stopped one.
 */
static void mica_gone(struct mica_rproc *mica)
{
	struct mica_exit exit = mica_read_exit(mica);
	struct rproc *rproc = mica->rproc;
	bool fault = exit.reason == MICA_EXIT_FAULT;

	if (!mica_enter(mica, MICA_RUNNING,
			fault ? MICA_CRASHED : MICA_EXITING))
		return;
	mica->exit = exit;
	dev_info(&rproc->dev, "CPU%u went off: %s, status %u\n", mica->cpu,
		 mica_exit_reason_name(exit.reason), exit.status);
	if (fault) {
		rproc_report_crash(rproc, RPROC_FATAL_ERROR);
		flush_work(&rproc->crash_handler);
	} else {
		/* Once for each time it was started; fails when it is off. */
		while (!rproc_shutdown(rproc))
			;
		mica_release(mica);
	}
	notify_user_space(mica, exit);
}

static void mica_watch(struct work_struct *work)
{
	struct mica_rproc *mica = container_of(to_delayed_work(work),
					       struct mica_rproc, watch);

	if (READ_ONCE(mica->phase) != MICA_RUNNING)
		return;
	if (mica_psci_core_state(mica->mpidr) == MICA_CORE_OFF)
		mica_gone(mica);
	else
		schedule_delayed_work(&mica->watch,
				      mica_exit_record_written(mica) ? 1 :
				      msecs_to_jiffies(WATCH_INTERVAL_MS));
}

static void mica_watch_cancel(void *data)
{
	struct mica_rproc *mica = data;

	cancel_delayed_work_sync(&mica->watch);
}

int mica_watch_init(struct mica_rproc *mica)
{
	INIT_DELAYED_WORK(&mica->watch, mica_watch);
	return devm_add_action_or_reset(mica->dev, mica_watch_cancel, mica);
}

void mica_watch_start(struct mica_rproc *mica)
{
	schedule_delayed_work(&mica->watch,
			      msecs_to_jiffies(WATCH_INTERVAL_MS));
}

/* Does not wait: the watch may be waiting for the remoteproc's lock. */
void mica_watch_stop(struct mica_rproc *mica)
{
	cancel_delayed_work(&mica->watch);
}
