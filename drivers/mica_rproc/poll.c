// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks at the vrings of firmware that Linux does not hear. MICA firmware calls
 * Linux by a software generated interrupt, which newer kernels use for
 * themselves. Where the monitor does not turn it into the doorbell, somebody has
 * to look.
 *
 * Polling ends for the run as soon as the doorbell rings once. It follows the
 * traffic: again at once while messages come, then after pauses that double up
 * to poll_ms.
 */
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/workqueue.h>

#include "monitor.h"
#include "poll.h"
#include "vrings.h"

#define SOON	1	/* jiffies */

static unsigned int poll_ms = 100;
module_param(poll_ms, uint, 0644);
MODULE_PARM_DESC(poll_ms, "longest pause between looks for messages of firmware that does not interrupt Linux (0: never look)");

static bool is_needed(struct mica_rproc *mica)
{
	return READ_ONCE(mica->polling) && READ_ONCE(poll_ms) &&
	       READ_ONCE(mica->heard) != MICA_HEARD_BELL &&
	       !mica_monitor_active(mica);
}

static void mica_poll(struct work_struct *work)
{
	struct mica_rproc *mica = container_of(to_delayed_work(work),
					       struct mica_rproc, poll);
	unsigned long longest = max(msecs_to_jiffies(READ_ONCE(poll_ms)), 1UL);
	unsigned long pause = 0;

	if (!is_needed(mica))
		return;
	if (mica_vrings_look(mica)) {
		cmpxchg(&mica->heard, MICA_HEARD_NOTHING, MICA_HEARD_POLL);
		mica->poll_pause = SOON;
	} else {
		pause = min(mica->poll_pause, longest);
		mica->poll_pause = 2 * pause;
	}
	/* Not if it has been stopped or told to hurry meanwhile. */
	if (is_needed(mica))
		queue_delayed_work(system_highpri_wq, &mica->poll, pause);
}

static void mica_poll_cancel(void *data)
{
	struct mica_rproc *mica = data;

	cancel_delayed_work_sync(&mica->poll);
}

int mica_poll_init(struct mica_rproc *mica)
{
	INIT_DELAYED_WORK(&mica->poll, mica_poll);
	return devm_add_action_or_reset(mica->dev, mica_poll_cancel, mica);
}

void mica_poll_start(struct mica_rproc *mica)
{
	WRITE_ONCE(mica->polling, true);
	mica->poll_pause = SOON;
	queue_delayed_work(system_highpri_wq, &mica->poll, SOON);
}

/* Looks soon, because firmware that was sent something is likely to answer. */
void mica_poll_hurry(struct mica_rproc *mica)
{
	/* Traffic is looked for at once or soon anyway. */
	if (!is_needed(mica) || READ_ONCE(mica->poll_pause) <= 2 * SOON)
		return;
	mica->poll_pause = SOON;
	mod_delayed_work(system_highpri_wq, &mica->poll, SOON);
}

void mica_poll_stop(struct mica_rproc *mica)
{
	WRITE_ONCE(mica->polling, false);
	cancel_delayed_work_sync(&mica->poll);
}
