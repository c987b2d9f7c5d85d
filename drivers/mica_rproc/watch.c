// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notices that firmware has switched its core off without being asked, finds out
 * why, and tells user space.
 */
#include <linux/jiffies.h>
#include <linux/kobject.h>
#include <linux/remoteproc.h>
#include <linux/sysfs.h>

#include "exit_record.h"
#include "phase.h"
#include "psci.h"
#include "watch.h"

#define WATCH_INTERVAL_MS	100
#define SOON			1	/* jiffies */

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
 * After a fault the remoteproc is crashed: user space stops it, or has asked the
 * remoteproc core to recover it. After an exit the remoteproc is offline.
 */
static void mica_gone(struct mica_rproc *mica)
{
	struct mica_exit exit = mica_exit_record_read(mica);
	struct rproc *rproc = mica->rproc;
	bool fault = exit.reason == MICA_EXIT_FAULT;

	if (!mica_phase_enter(mica, MICA_RUNNING,
			      fault ? MICA_CRASHED : MICA_EXITING))
		return;
	mica->exit = exit;
	dev_info(&rproc->dev, "CPU%u went off: %s, status %u\n", mica->cpu,
		 mica_exit_reason_name(exit.reason), exit.status);
	if (fault) {
		rproc_report_crash(rproc, RPROC_FATAL_ERROR);
		flush_work(&rproc->crash_handler);
	} else {
		/* Undoes each start. Fails once the remoteproc is offline. */
		while (!rproc_shutdown(rproc))
			;
		mica_phase_finish(mica);
	}
	notify_user_space(mica, exit);
}

static void mica_watch(struct work_struct *work)
{
	struct mica_rproc *mica = container_of(to_delayed_work(work),
					       struct mica_rproc, watch);

	if (mica_phase(mica) != MICA_RUNNING)
		return;
	if (mica_psci_core_state(mica->mpidr) == MICA_CORE_OFF)
		mica_gone(mica);
	else
		schedule_delayed_work(&mica->watch,
				      mica_exit_record_written(mica) ? SOON :
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

/* Looks soon, because the core is about to go off. */
void mica_watch_hurry(struct mica_rproc *mica)
{
	mod_delayed_work(system_wq, &mica->watch, SOON);
}

/*
 * Does not wait until the watch has ended. The caller holds the remoteproc's
 * lock, for which the watch may be waiting.
 */
void mica_watch_stop(struct mica_rproc *mica)
{
	cancel_delayed_work(&mica->watch);
}
