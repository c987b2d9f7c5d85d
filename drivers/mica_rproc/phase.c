// SPDX-License-Identifier: GPL-2.0-only
/*
 * The phase of a core. Several threads move it on: start and stop of the
 * remoteproc, and the watch that notices the end of the firmware. The first one
 * that moves it decides what happens.
 */
#include <linux/module.h>

#include "phase.h"

/* Moves on to a phase. Returns false if the core has left "from" already. */
bool mica_phase_enter(struct mica_rproc *mica, enum mica_phase from,
		      enum mica_phase to)
{
	bool moved;

	spin_lock(&mica->lock);
	moved = mica->phase == from;
	if (moved)
		WRITE_ONCE(mica->phase, to);
	spin_unlock(&mica->lock);
	return moved;
}

/*
 * Ends a run: the core is off and cleaned up. It can be started again, or Linux
 * can take it. Drops the reference to the module that the start took.
 */
void mica_phase_finish(struct mica_rproc *mica)
{
	spin_lock(&mica->lock);
	WRITE_ONCE(mica->phase, MICA_IDLE);
	spin_unlock(&mica->lock);
	module_put(THIS_MODULE);
}
