// SPDX-License-Identifier: GPL-2.0-only
/*
 * The redistributor of the spare core, which holds its private interrupts
 * (GICv3, Arm IHI 0069). The kernel's driver does not touch it while the core is
 * offline.
 */
#include <linux/io.h>
#include <linux/irqchip/arm-gic-v3.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <asm/cputype.h>

#include "gic.h"

#define FRAMES		SZ_128K	/* of a GICv3 without virtual LPIs */
#define SGI_FRAME	SZ_64K
#define DISTRIBUTOR	0	/* index in the node's reg; the redistributors follow */

/* Packs the affinity fields of MPIDR_EL1 as GICR_TYPER has them. */
static u32 gicr_affinity(u64 mpidr)
{
	return MPIDR_AFFINITY_LEVEL(mpidr, 3) << 24 |
	       MPIDR_AFFINITY_LEVEL(mpidr, 2) << 16 |
	       MPIDR_AFFINITY_LEVEL(mpidr, 1) << 8 |
	       MPIDR_AFFINITY_LEVEL(mpidr, 0);
}

/* Returns the offset of a core's redistributor in a region, or -ENODEV. */
static long find_frames(void __iomem *region, resource_size_t size, u64 mpidr)
{
	resource_size_t offset;

	for (offset = 0; offset + FRAMES <= size; offset += FRAMES) {
		u64 typer = readq_relaxed(region + offset + GICR_TYPER);

		if (typer >> 32 == gicr_affinity(mpidr))
			return offset;
		if (typer & GICR_TYPER_LAST)
			break;
	}
	return -ENODEV;
}

static int map_frame(struct mica_rproc *mica, const struct resource *res)
{
	void __iomem *region = ioremap(res->start, resource_size(res));
	long offset;

	if (!region)
		return -ENOMEM;
	offset = find_frames(region, resource_size(res), mica->mpidr);
	iounmap(region);
	if (offset < 0)
		return offset;
	mica->gicr = devm_ioremap(mica->dev, res->start + offset + SGI_FRAME,
				  SGI_FRAME);
	return mica->gicr ? 0 : -ENOMEM;
}

int mica_gic_init(struct mica_rproc *mica)
{
	struct device_node *np;
	struct resource res;
	u32 regions = 1;
	int ret = -ENODEV;
	u32 i;

	np = of_find_compatible_node(NULL, NULL, "arm,gic-v3");
	if (np && !of_address_to_resource(np, DISTRIBUTOR, &res)) {
		mica->gicd = res.start;
		of_property_read_u32(np, "#redistributor-regions", &regions);
		for (i = 1; i <= regions && ret == -ENODEV; i++)
			if (!of_address_to_resource(np, DISTRIBUTOR + i, &res))
				ret = map_frame(mica, &res);
	}
	of_node_put(np);
	if (ret)
		dev_err(mica->dev, "CPU%u has no redistributor of a GICv3\n",
			mica->cpu);
	return ret;
}

/* Clears what the last firmware left in the private interrupts. */
void mica_gic_reset(struct mica_rproc *mica)
{
	writel_relaxed(~0, mica->gicr + GICR_ICENABLER0);
	writel_relaxed(~0, mica->gicr + GICR_ICPENDR0);
	writel_relaxed(~0, mica->gicr + GICR_ICACTIVER0);
}

/* Enables a software generated interrupt with the highest priority. */
void mica_gic_enable_sgi(struct mica_rproc *mica, unsigned int sgi)
{
	u32 group = readl_relaxed(mica->gicr + GICR_IGROUPR0);

	writel_relaxed(group | BIT(sgi), mica->gicr + GICR_IGROUPR0);
	writeb_relaxed(0, mica->gicr + GICR_IPRIORITYR0 + sgi);
	writel(BIT(sgi), mica->gicr + GICR_ISENABLER0);
}
