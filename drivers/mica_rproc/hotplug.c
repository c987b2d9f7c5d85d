// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps Linux from bringing a core online while it runs firmware, and until the
 * driver has cleaned up after a run.
 */
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/mutex.h>

#include "hotplug.h"
#include "phase.h"

static DEFINE_MUTEX(instances_lock);
static LIST_HEAD(instances);
static int hotplug_state;

static struct mica_rproc *find_by_cpu(unsigned int cpu)
{
	struct mica_rproc *mica;

	list_for_each_entry(mica, &instances, node)
		if (mica->cpu == cpu)
			return mica;
	return NULL;
}

static int refuse_if_busy(unsigned int cpu)
{
	struct mica_rproc *mica;
	int ret = 0;

	mutex_lock(&instances_lock);
	mica = find_by_cpu(cpu);
	if (mica && mica_phase(mica) != MICA_IDLE) {
		dev_err(mica->dev, "CPU%u runs firmware: stop it first\n", cpu);
		ret = -EBUSY;
	}
	mutex_unlock(&instances_lock);
	return ret;
}

int mica_hotplug_init(void)
{
	hotplug_state = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN,
						  "remoteproc/mica:prepare",
						  refuse_if_busy, NULL);
	return hotplug_state < 0 ? hotplug_state : 0;
}

void mica_hotplug_exit(void)
{
	cpuhp_remove_state_nocalls(hotplug_state);
}

static void mica_hotplug_remove(void *data)
{
	struct mica_rproc *mica = data;

	mutex_lock(&instances_lock);
	list_del(&mica->node);
	mutex_unlock(&instances_lock);
}

/*
 * Registers an instance until its device is removed. A core has at most one
 * instance.
 */
int mica_hotplug_add(struct mica_rproc *mica)
{
	int ret = 0;

	mutex_lock(&instances_lock);
	if (find_by_cpu(mica->cpu))
		ret = -EEXIST;
	else
		list_add(&mica->node, &instances);
	mutex_unlock(&instances_lock);
	if (ret)
		return dev_err_probe(mica->dev, ret,
				     "CPU%u has an instance already\n",
				     mica->cpu);
	return devm_add_action_or_reset(mica->dev, mica_hotplug_remove, mica);
}
