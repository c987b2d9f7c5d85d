/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Remote processor on a CPU core that Linux gave up.
 */
#ifndef MICA_RPROC_H
#define MICA_RPROC_H

#include <linux/atomic.h>
#include <linux/firmware.h>
#include <linux/irqreturn.h>
#include <linux/list.h>
#include <linux/remoteproc.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#define MICA_DEFAULT_SPI	100	/* INTID 132 */
#define MICA_DEFAULT_SGI	7	/* of MICA firmware */

/* Where an instance lives. From the device tree or from module parameters. */
struct mica_config {
	unsigned int cpu;
	phys_addr_t shm_base;	/* shared with the firmware: vrings, buffers */
	size_t shm_size;
	phys_addr_t ram_base;	/* the firmware's own */
	size_t ram_size;
	phys_addr_t monitor_base;	/* of the monitor at EL2, may be absent */
	size_t monitor_size;
};

struct mica_region {
	phys_addr_t base;
	size_t size;
	void *va;
};

/*
 * What the driver believes about the core. Only an idle core may be started
 * or given back to Linux.
 */
enum mica_phase {
	MICA_IDLE,
	MICA_RUNNING,
	MICA_STOPPING,	/* asked to go off */
	MICA_EXITING,	/* off by itself, the remoteproc is being shut down */
	MICA_CRASHED,	/* off by itself after a fault, or made so by Linux */
};

/* Why the last run ended. */
enum mica_exit_reason {
	MICA_EXIT_NONE,		/* never ran, or is running */
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
	struct list_head node;

	unsigned int cpu;
	u64 mpidr;
	struct mica_region shm;
	struct mica_region ram;
	struct mica_region monitor;

	void __iomem *gicr;	/* the core's own, frame of private interrupts */
	int irq;
	struct rproc_subdev doorbell;
	bool doorbell_added;
	bool doorbell_on;

	struct resource_table *table;	/* the one the firmware sees */
	u64 exit_record;		/* device address, 0 if there is none */

	spinlock_t lock;		/* phase */
	enum mica_phase phase;
	struct mica_exit exit;
	struct delayed_work watch;
};

/* instances.c: one platform device per entry of the module parameters */
int mica_instances_create(void);
void mica_instances_destroy(void);

/* lifecycle.c */
extern const struct rproc_ops mica_ops;

/* watch.c */
int mica_watch_init(struct mica_rproc *mica);
void mica_watch_start(struct mica_rproc *mica);
void mica_watch_stop(struct mica_rproc *mica);
bool mica_exit_record_written(struct mica_rproc *mica);
struct mica_exit mica_read_exit(struct mica_rproc *mica);

bool mica_enter(struct mica_rproc *mica, enum mica_phase from,
		enum mica_phase to);
void mica_release(struct mica_rproc *mica);

/* elf.c */
int mica_elf_check(struct rproc *rproc, const struct firmware *fw);
u64 mica_elf_entry(struct rproc *rproc, const struct firmware *fw);
int mica_elf_parse(struct rproc *rproc, const struct firmware *fw);
int mica_elf_load(struct mica_rproc *mica, const struct firmware *fw);
struct resource_table *mica_elf_loaded_table(struct rproc *rproc,
					     const struct firmware *fw);

/* table.c */
int mica_table_check(struct mica_rproc *mica,
		     const struct resource_table *table, size_t size);

/* doorbell.c */
int mica_doorbell_init(struct mica_rproc *mica);
void mica_doorbell_add(struct mica_rproc *mica);
void mica_doorbell_remove(struct mica_rproc *mica);
void mica_doorbell_ring(struct mica_rproc *mica, unsigned int number);
void mica_doorbell_wake(struct mica_rproc *mica);

/* gic.c */
int mica_gic_init(struct mica_rproc *mica);
void mica_gic_reset(struct mica_rproc *mica);
void mica_gic_enable_sgi(struct mica_rproc *mica, unsigned int sgi);

/* Exported by the remoteproc core, declared in its private header only. */
irqreturn_t rproc_vq_interrupt(struct rproc *rproc, int vq_id);

/* psci.c */
enum mica_core_state {
	MICA_CORE_ON = 0,
	MICA_CORE_OFF = 1,
	MICA_CORE_ON_PENDING = 2,
};

int mica_psci_init(void);
int mica_psci_core_state(u64 mpidr);
int mica_psci_cpu_on(u64 mpidr, phys_addr_t entry);

/* hotplug.c */
int mica_hotplug_init(void);
void mica_hotplug_exit(void);
int mica_hotplug_add(struct mica_rproc *mica);

/* sysfs.c */
extern const struct attribute_group *mica_groups[];
const char *mica_exit_reason_name(enum mica_exit_reason reason);

/* Whether [addr, addr + len) lies within a region. */
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
