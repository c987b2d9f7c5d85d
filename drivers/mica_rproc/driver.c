// SPDX-License-Identifier: GPL-2.0-only
/*
 * Remote processor on a CPU core that Linux gave up. It runs MICA firmware, or
 * any other bare-metal program that speaks rpmsg.
 */
#include <linux/cpumask.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/platform_device.h>
#include <linux/pm.h>
#include <linux/remoteproc.h>

#include "doorbell.h"
#include "gic.h"
#include "hotplug.h"
#include "instances.h"
#include "lifecycle.h"
#include "memory.h"
#include "mica_rproc.h"
#include "phase.h"
#include "poll.h"
#include "psci.h"
#include "sysfs.h"
#include "watch.h"

/* Reads the id that PSCI knows the core by, from its device tree node. */
static int mica_find_mpidr(struct mica_rproc *mica)
{
	struct device_node *np = NULL;
	const __be32 *reg = NULL;
	int len = 0;

	if (mica->cpu < nr_cpu_ids && cpu_possible(mica->cpu))
		np = of_get_cpu_node(mica->cpu, NULL);
	if (np) {
		reg = of_get_property(np, "reg", &len);
		if (reg)
			mica->mpidr = of_read_number(reg,
						     len / sizeof(*reg));
		of_node_put(np);
	}
	if (!reg)
		return dev_err_probe(mica->dev, -ENODEV,
				     "this machine has no CPU%u\n", mica->cpu);
	return 0;
}

static int mica_read_region(struct device_node *np, int index,
			    phys_addr_t *base, size_t *size)
{
	struct device_node *region;
	struct resource res;
	int ret;

	region = of_parse_phandle(np, "memory-region", index);
	if (!region)
		return -EINVAL;
	ret = of_address_to_resource(region, 0, &res);
	of_node_put(region);
	if (ret)
		return ret;
	*base = res.start;
	*size = resource_size(&res);
	return 0;
}

static int mica_read_cpu(struct device_node *np, unsigned int *cpu)
{
	struct device_node *cpu_np = of_parse_phandle(np, "cpus", 0);
	int id;

	if (!cpu_np)
		return -EINVAL;
	id = of_cpu_node_to_id(cpu_np);
	of_node_put(cpu_np);
	if (id < 0)
		return id;
	*cpu = id;
	return 0;
}

static int mica_read_config(struct device *dev, struct mica_config *config)
{
	struct device_node *np = dev->of_node;
	int ret;

	if (dev_get_platdata(dev)) {
		*config = *(const struct mica_config *)dev_get_platdata(dev);
		return 0;
	}
	ret = mica_read_cpu(np, &config->cpu);
	if (!ret)
		ret = mica_read_region(np, 0, &config->shm_base,
				       &config->shm_size);
	if (!ret)
		ret = mica_read_region(np, 1, &config->ram_base,
				       &config->ram_size);
	if (ret)
		dev_err(dev, "the device tree node needs cpus and two memory-region\n");
	else if (of_property_count_elems_of_size(np, "memory-region",
						 sizeof(u32)) > 2)
		ret = mica_read_region(np, 2, &config->monitor_base,
				       &config->monitor_size);
	return ret;
}

static int mica_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct mica_config config = { };
	struct mica_rproc *mica;
	struct rproc *rproc;
	const char *name;
	int ret;

	ret = mica_read_config(dev, &config);
	if (ret)
		return ret;
	name = devm_kasprintf(dev, GFP_KERNEL, "mica-cpu%u", config.cpu);
	if (!name)
		return -ENOMEM;
	rproc = devm_rproc_alloc(dev, name, &mica_ops, NULL, sizeof(*mica));
	if (!rproc)
		return -ENOMEM;
	rproc->auto_boot = false;
	/* User space decides what follows a crash. */
	rproc->recovery_disabled = true;

	mica = rproc->priv;
	mica->dev = dev;
	mica->rproc = rproc;
	mica->cpu = config.cpu;
	spin_lock_init(&mica->lock);
	mutex_init(&mica->looking);
	platform_set_drvdata(pdev, mica);

	/* Addresses in a resource table have 32 bits. */
	ret = dma_coerce_mask_and_coherent(dev, DMA_BIT_MASK(32));
	if (!ret)
		ret = mica_find_mpidr(mica);
	if (!ret)
		ret = mica_memory_init(mica, &config);
	if (!ret)
		ret = mica_gic_init(mica);
	if (!ret)
		ret = mica_watch_init(mica);
	if (!ret)
		ret = mica_poll_init(mica);
	if (!ret)
		ret = mica_doorbell_init(mica);
	if (!ret)
		ret = mica_hotplug_add(mica);
	if (!ret)
		ret = mica_sysfs_init(mica);
	if (!ret)
		ret = devm_rproc_add(dev, rproc);
	return ret;
}

/* The core would lose its state, and the firmware has not been asked. */
static int mica_suspend(struct device *dev)
{
	struct mica_rproc *mica = dev_get_drvdata(dev);

	if (mica_phase(mica) == MICA_IDLE)
		return 0;
	dev_err(dev, "CPU%u runs firmware: stop it before suspending\n",
		mica->cpu);
	return -EBUSY;
}

static DEFINE_SIMPLE_DEV_PM_OPS(mica_pm_ops, mica_suspend, NULL);

static const struct of_device_id mica_of_match[] = {
	{ .compatible = "micrun,mica-rproc" },
	{ }
};
MODULE_DEVICE_TABLE(of, mica_of_match);

static struct platform_driver mica_driver = {
	.probe = mica_probe,
	.driver = {
		.name = "mica-rproc",
		.of_match_table = mica_of_match,
		.dev_groups = mica_groups,
		.pm = pm_sleep_ptr(&mica_pm_ops),
		/* Unbinding would leave firmware running without a driver. */
		.suppress_bind_attrs = true,
	},
};

static int __init mica_init(void)
{
	int ret;

	ret = mica_psci_init();
	if (ret)
		return ret;
	ret = mica_hotplug_init();
	if (ret)
		return ret;
	ret = platform_driver_register(&mica_driver);
	if (ret)
		goto hotplug_exit;
	ret = mica_instances_create();
	if (ret)
		goto unregister;
	return 0;

unregister:
	platform_driver_unregister(&mica_driver);
hotplug_exit:
	mica_hotplug_exit();
	return ret;
}
module_init(mica_init);

static void __exit mica_exit(void)
{
	mica_instances_destroy();
	platform_driver_unregister(&mica_driver);
	mica_hotplug_exit();
}
module_exit(mica_exit);

MODULE_DESCRIPTION("Remote processor on a CPU core that Linux gave up");
MODULE_LICENSE("GPL");
