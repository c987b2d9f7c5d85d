// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starts firmware on the core and stops it: the operations of the remoteproc.
 */
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/remoteproc.h>
#include <linux/slab.h>

#include "doorbell.h"
#include "elf.h"
#include "exit_record.h"
#include "gic.h"
#include "lifecycle.h"
#include "memory.h"
#include "monitor.h"
#include "phase.h"
#include "poll.h"
#include "psci.h"
#include "watch.h"

/*
 * Requests to MICA firmware: by convention the number of a PSCI function in
 * reserved[0] of the resource table.
 */
#define MICA_REQUEST_RUN	0xc4000003	/* CPU_ON */
#define MICA_REQUEST_STOP	0x84000002	/* CPU_OFF */

#define KILL_TIMEOUT_MS	1000
#define KILLED_STATUS	137	/* 128 + SIGKILL */

static unsigned int stop_timeout_ms = 1000;
module_param(stop_timeout_ms, uint, 0644);
MODULE_PARM_DESC(stop_timeout_ms, "how long firmware may take to go off when asked to stop");

static void mica_request(struct mica_rproc *mica, u32 request)
{
	WRITE_ONCE(mica->table->reserved[0], request);
	mica_doorbell_ring(mica);
}

/*
 * Adds the carveouts here and not in rproc_ops.prepare, because the remoteproc
 * core does not free carveouts if parse_fw fails.
 */
static int mica_parse(struct rproc *rproc, const struct firmware *fw)
{
	int ret;

	ret = mica_elf_parse(rproc, fw);
	if (ret)
		return ret;
	ret = mica_memory_add_carveouts(rproc->priv);
	if (ret) {
		kfree(rproc->cached_table);
		rproc->cached_table = NULL;
		rproc->table_ptr = NULL;
		return ret;
	}
	mica_memory_add_dump(rproc->priv);
	return 0;
}

static int mica_unprepare(struct rproc *rproc)
{
	mica_doorbell_remove(rproc->priv);
	return 0;
}

static int mica_load(struct rproc *rproc, const struct firmware *fw)
{
	struct mica_rproc *mica = rproc->priv;
	int ret;

	if (mica_phase(mica) != MICA_IDLE) {
		dev_err(&rproc->dev, "CPU%u still runs the previous firmware\n",
			mica->cpu);
		return -EBUSY;
	}
	ret = mica_elf_load(mica, fw);
	if (ret)
		return ret;
	mica_doorbell_add(mica);
	return 0;
}

/*
 * The caller holds the lock of CPU hotplug, so that Linux cannot take the core
 * between the check and CPU_ON.
 */
static int mica_power_on(struct mica_rproc *mica)
{
	struct device *dev = &mica->rproc->dev;
	int state = mica_psci_core_state(mica->mpidr);
	int ret;

	if (cpu_online(mica->cpu)) {
		dev_err(dev, "CPU%u is used by Linux: take it offline first\n",
			mica->cpu);
		return -EBUSY;
	}
	if (state != MICA_CORE_OFF) {
		dev_err(dev, "CPU%u is not off (PSCI state %d)\n", mica->cpu,
			state);
		return state < 0 ? state : -EBUSY;
	}
	if (!mica_phase_enter(mica, MICA_IDLE, MICA_RUNNING))
		return -EBUSY;
	mica->exit = (struct mica_exit){ .reason = MICA_EXIT_NONE };
	WRITE_ONCE(mica->heard, MICA_HEARD_NOTHING);
	mica_gic_reset(mica);
	mica_doorbell_clear(mica);
	ret = mica_psci_cpu_on(mica->mpidr,
			       mica_monitor_install(mica,
						    mica->rproc->bootaddr));
	if (ret) {
		dev_err(dev, "CPU%u does not start: %d\n", mica->cpu, ret);
		mica_phase_enter(mica, MICA_RUNNING, MICA_IDLE);
	}
	return ret;
}

static int mica_start(struct rproc *rproc)
{
	struct mica_rproc *mica = rproc->priv;
	int ret;

	mica->table = rproc->table_ptr;
	if (!mica->table)
		return -EINVAL;
	/* Without the module nobody could stop the firmware. */
	__module_get(THIS_MODULE);

	cpus_read_lock();
	ret = mica_power_on(mica);
	cpus_read_unlock();
	if (ret) {
		module_put(THIS_MODULE);
		return ret;
	}
	mica_request(mica, MICA_REQUEST_RUN);
	mica_watch_start(mica);
	return 0;
}

static bool mica_wait_off(struct mica_rproc *mica, unsigned int ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(ms);

	for (;;) {
		bool last = time_after(jiffies, end);

		if (mica_psci_core_state(mica->mpidr) == MICA_CORE_OFF)
			return true;
		if (last)
			return false;
		usleep_range(200, 1000);
	}
}

/*
 * Asks the firmware to switch the core off. If it does not, the monitor does, if
 * there is one.
 */
static int mica_power_off(struct mica_rproc *mica)
{
	if (mica_monitor_paused(mica))
		mica_monitor_resume(mica);
	mica_request(mica, MICA_REQUEST_STOP);
	if (mica_wait_off(mica, READ_ONCE(stop_timeout_ms))) {
		mica->exit = mica_exit_record_read(mica);
		if (mica->exit.reason == MICA_EXIT_EXITED)
			mica->exit.reason = MICA_EXIT_STOPPED;
		return 0;
	}
	if (!mica_monitor_kill(mica) && mica_wait_off(mica, KILL_TIMEOUT_MS)) {
		mica->exit = (struct mica_exit){
			.reason = MICA_EXIT_KILLED,
			.status = KILLED_STATUS,
		};
		return 0;
	}
	dev_err(&mica->rproc->dev, "CPU%u does not go off: its firmware ignores the request to stop\n",
		mica->cpu);
	return -ETIMEDOUT;
}

/*
 * The remoteproc core has set rproc->table_ptr back to its own copy before this
 * call. The table that the firmware sees is mica->table.
 */
static int mica_stop(struct rproc *rproc)
{
	struct mica_rproc *mica = rproc->priv;
	int ret;

	if (mica_phase_enter(mica, MICA_CRASHED, MICA_STOPPING)) {
		mica_watch_stop(mica);
		mica_phase_finish(mica);
		return 0;
	}
	/* The core is off already, and the watch ends the run. */
	if (!mica_phase_enter(mica, MICA_RUNNING, MICA_STOPPING))
		return 0;

	ret = mica_power_off(mica);
	if (ret) {
		mica_phase_enter(mica, MICA_STOPPING, MICA_RUNNING);
		mica_watch_start(mica);
		return ret;
	}
	mica_watch_stop(mica);
	mica_phase_finish(mica);
	return 0;
}

static void mica_kick(struct rproc *rproc, int vqid)
{
	mica_doorbell_ring(rproc->priv);
	mica_poll_hurry(rproc->priv);
}

static void *mica_da_to_va(struct rproc *rproc, u64 da, size_t len,
			   bool *is_iomem)
{
	return mica_memory_va(rproc->priv, da, len);
}

const struct rproc_ops mica_ops = {
	.unprepare = mica_unprepare,
	.start = mica_start,
	.stop = mica_stop,
	.kick = mica_kick,
	.da_to_va = mica_da_to_va,
	.sanity_check = mica_elf_check,
	.get_boot_addr = mica_elf_entry,
	.parse_fw = mica_parse,
	.load = mica_load,
	.find_loaded_rsc_table = mica_elf_loaded_table,
};
