// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PSCI calls (Arm DEN 0022) that start a core and tell its state. The kernel
 * has them, too, but does not export them.
 */
#include <linux/arm-smccc.h>
#include <linux/errno.h>
#include <linux/of.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <uapi/linux/psci.h>

#include "psci.h"

static bool conduit_is_hvc;

static long psci_call(u32 function, u64 arg0, u64 arg1, u64 arg2)
{
	struct arm_smccc_res res;

	if (conduit_is_hvc)
		arm_smccc_hvc(function, arg0, arg1, arg2, 0, 0, 0, 0, &res);
	else
		arm_smccc_smc(function, arg0, arg1, arg2, 0, 0, 0, 0, &res);
	return (long)res.a0;
}

static const struct of_device_id psci_of_match[] = {
	{ .compatible = "arm,psci-0.2" },
	{ .compatible = "arm,psci-1.0" },
	{ }
};

int mica_psci_init(void)
{
	struct device_node *np;
	const char *method;
	int ret;

	np = of_find_matching_node(NULL, psci_of_match);
	if (!np) {
		pr_err("mica_rproc: the device tree has no PSCI 0.2 node\n");
		return -ENODEV;
	}
	ret = of_property_read_string(np, "method", &method);
	if (!ret)
		conduit_is_hvc = !strcmp(method, "hvc");
	if (!ret && !conduit_is_hvc && strcmp(method, "smc"))
		ret = -EINVAL;
	of_node_put(np);
	if (ret)
		pr_err("mica_rproc: /psci has no usable method: %d\n", ret);
	return ret;
}

/* Returns an enum mica_core_state, or a negative error. */
int mica_psci_core_state(u64 mpidr)
{
	long state = psci_call(PSCI_0_2_FN64_AFFINITY_INFO, mpidr, 0, 0);

	return state < 0 ? -ENXIO : (int)state;
}

int mica_psci_cpu_on(u64 mpidr, phys_addr_t entry)
{
	switch (psci_call(PSCI_0_2_FN64_CPU_ON, mpidr, entry, 0)) {
	case PSCI_RET_SUCCESS:
		return 0;
	case PSCI_RET_ALREADY_ON:
	case PSCI_RET_ON_PENDING:
		return -EBUSY;
	case PSCI_RET_INVALID_ADDRESS:
		return -EFAULT;
	default:
		return -EIO;
	}
}
