// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes instances from the module parameters, for a machine whose device tree
 * has none: one platform device for each core.
 */
#include <linux/err.h>
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_irq.h>
#include <linux/platform_device.h>
#include <dt-bindings/interrupt-controller/arm-gic.h>

#include "instances.h"
#include "memory.h"
#include "mica_rproc.h"

#define MAX_INSTANCES	8
#define DEFAULT_SPI	100	/* of the first instance: INTID 132 */
#define REGIONS		2	/* per instance: shared memory, then RAM */

static unsigned int cpu[MAX_INSTANCES];
static unsigned int cpus;
module_param_array(cpu, uint, &cpus, 0444);
MODULE_PARM_DESC(cpu, "cores to run firmware on, one instance each");

static unsigned long long rmem_base[MAX_INSTANCES * REGIONS];
static unsigned int rmem_bases;
module_param_array(rmem_base, ullong, &rmem_bases, 0444);
MODULE_PARM_DESC(rmem_base, "for each core: start of the shared memory, start of the firmware's RAM");

static unsigned long rmem_size[MAX_INSTANCES * REGIONS];
static unsigned int rmem_sizes;
module_param_array(rmem_size, ulong, &rmem_sizes, 0444);
MODULE_PARM_DESC(rmem_size, "their sizes, in the same order");

static unsigned long long monitor_base[MAX_INSTANCES];
static unsigned int monitor_bases;
module_param_array(monitor_base, ullong, &monitor_bases, 0444);
MODULE_PARM_DESC(monitor_base, "for each core: start of 64 KiB for the monitor at EL2 (default none)");

static unsigned int spi[MAX_INSTANCES];
static unsigned int spis;
module_param_array(spi, uint, &spis, 0444);
MODULE_PARM_DESC(spi, "for each core: shared peripheral interrupt that its firmware raises (default 100, 101, ...)");

static struct platform_device *instances[MAX_INSTANCES];

static int map_interrupt(unsigned int number)
{
	struct of_phandle_args args = {
		.args_count = 3,
		.args = { GIC_SPI, number, IRQ_TYPE_EDGE_RISING },
	};
	int irq;

	args.np = of_find_compatible_node(NULL, NULL, "arm,gic-v3");
	if (!args.np) {
		pr_err("mica_rproc: this machine has no GICv3\n");
		return -ENODEV;
	}
	irq = irq_create_of_mapping(&args);
	of_node_put(args.np);
	return irq ? irq : -EINVAL;
}

static struct platform_device *create_instance(unsigned int i)
{
	const struct mica_config config = {
		.cpu = cpu[i],
		.shm_base = rmem_base[REGIONS * i],
		.shm_size = rmem_size[REGIONS * i],
		.ram_base = rmem_base[REGIONS * i + 1],
		.ram_size = rmem_size[REGIONS * i + 1],
		.monitor_base = monitor_base[i],
		.monitor_size = monitor_bases ? MICA_MONITOR_SIZE : 0,
	};
	int irq = map_interrupt(spis ? spi[i] : DEFAULT_SPI + i);
	const struct resource resource = DEFINE_RES_IRQ(irq);

	if (irq < 0)
		return ERR_PTR(irq);
	return platform_device_register_resndata(NULL, "mica-rproc", config.cpu,
						 &resource, 1, &config,
						 sizeof(config));
}

void mica_instances_destroy(void)
{
	unsigned int i;

	for (i = 0; i < cpus; i++)
		platform_device_unregister(instances[i]);
}

int mica_instances_create(void)
{
	unsigned int i;

	if (rmem_bases != REGIONS * cpus || rmem_sizes != REGIONS * cpus ||
	    (monitor_bases && monitor_bases != cpus) ||
	    (spis && spis != cpus)) {
		pr_err("mica_rproc: for each cpu give two rmem_base and rmem_size, and monitor_base and spi for all or none\n");
		return -EINVAL;
	}
	for (i = 0; i < cpus; i++) {
		instances[i] = create_instance(i);
		if (IS_ERR(instances[i])) {
			int ret = PTR_ERR(instances[i]);

			pr_err("mica_rproc: no instance for CPU%u: %d\n",
			       cpu[i], ret);
			instances[i] = NULL;
			mica_instances_destroy();
			return ret;
		}
	}
	return 0;
}
