/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An instance of the driver: one CPU core that Linux gave up, with its memory
 * and its state. This header includes no other header of the driver. Each
 * source file includes the headers of the parts that it calls, and these
 * includes form no circle (test/circles).
 */
#ifndef MICA_RPROC_H
#define MICA_RPROC_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/remoteproc.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

/* Where an instance lives. From the device tree or from module parameters. */
struct mica_config {
	unsigned int cpu;
	phys_addr_t shm_base;	/* shared with the firmware: vrings, buffers */
	size_t shm_size;
	phys_addr_t ram_base;	/* for the firmware alone */
	size_t ram_size;
	phys_addr_t monitor_base;	/* for the monitor at EL2 */
	size_t monitor_size;		/* 0 if there is none */
};

struct mica_region {
	phys_addr_t base;
	size_t size;
	void *va;
};

/*
 * What the driver believes about the core. Firmware can be loaded, and Linux
 * can take the core back, only while the core is idle.
 */
enum mica_phase {
	MICA_IDLE,
	MICA_RUNNING,
	MICA_STOPPING,	/* Linux has asked the firmware to switch it off */
	MICA_EXITING,	/* off without a request; the remoteproc is shut down */
	MICA_CRASHED,	/* off without a request, after a fault */
};

/* How Linux learns that firmware has sent something. */
enum mica_heard {
	MICA_HEARD_NOTHING,	/* it has not sent anything, or was not heard */
	MICA_HEARD_BELL,	/* it rings the doorbell, or the monitor does */
	MICA_HEARD_POLL,	/* it does not ring, and is polled */
};

/* Why the last run ended. */
enum mica_exit_reason {
	MICA_EXIT_NONE,		/* there was no run, or it has not ended */
	MICA_EXIT_EXITED,
	MICA_EXIT_FAULT,
	MICA_EXIT_STOPPED,
	MICA_EXIT_KILLED,	/* by the monitor */
};

struct mica_exit {
	enum mica_exit_reason reason;
	u8 status;
};

struct mica_rproc {
	struct device *dev;
	struct rproc *rproc;
	struct list_head node;		/* in the list of hotplug.c */

	unsigned int cpu;
	u64 mpidr;
	struct mica_region shm;
	struct mica_region ram;
	struct mica_region monitor;

	void __iomem *gicr;	/* SGI frame of the core's redistributor */
	phys_addr_t gicd;	/* the distributor */
	int irq;
	u32 doorbell_intid;
	struct rproc_subdev doorbell;
	bool doorbell_added;
	bool doorbell_on;
	enum mica_heard heard;

	struct mutex looking;		/* held while the vrings are read */
	struct delayed_work poll;
	bool polling;
	unsigned long poll_pause;	/* jiffies until the next look */

	struct resource_table *table;	/* the one that the firmware sees */
	u64 exit_record;		/* device address, 0 if there is none */

	spinlock_t lock;		/* protects phase */
	enum mica_phase phase;
	struct mica_exit exit;
	struct delayed_work watch;
};

/* Tells whether [addr, addr + len) lies within a region. */
static inline bool mica_region_has(const struct mica_region *region, u64 addr,
				   u64 len)
{
	return addr >= region->base && len <= region->size &&
	       addr - region->base <= region->size - len;
}

static inline void *mica_region_va(const struct mica_region *region, u64 addr)
{
	return region->va + (addr - region->base);
}

#endif
