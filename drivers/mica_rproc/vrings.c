// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes what the firmware has left in its vrings.
 */
#include <linux/irqreturn.h>
#include <linux/mutex.h>
#include <linux/remoteproc.h>

#include "exit_record.h"
#include "vrings.h"
#include "watch.h"

#define FROM_FIRMWARE	0	/* the vring whose buffers the firmware fills */

/*
 * The remoteproc core exports this function, but declares it only in its
 * private header.
 */
irqreturn_t rproc_vq_interrupt(struct rproc *rproc, int vq_id);

/*
 * Tells whether the firmware had sent anything. The interrupt and the poll may
 * look at the same time, and the callbacks of a virtqueue must not.
 */
bool mica_vrings_look(struct mica_rproc *mica)
{
	struct rproc *rproc = mica->rproc;
	bool sent = false;
	int i;

	mutex_lock(&mica->looking);
	for (i = 0; i <= rproc->max_notifyid; i++)
		/* The other vring always has something: Linux's old messages. */
		if (rproc_vq_interrupt(rproc, i) == IRQ_HANDLED &&
		    i == FROM_FIRMWARE)
			sent = true;
	mutex_unlock(&mica->looking);
	/* Firmware that has written its exit record is about to go off. */
	if (mica_exit_record_written(mica))
		mica_watch_hurry(mica);
	return sent;
}
