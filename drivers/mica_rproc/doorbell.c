// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts between Linux and the firmware. To the firmware: a software
 * generated interrupt of GICv3. From the firmware: a shared peripheral
 * interrupt that no device has, which the firmware makes pending itself.
 */
#include <linux/bits.h>
#include <linux/bitfield.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_irq.h>
#include <linux/platform_device.h>
#include <asm/barrier.h>
#include <asm/cputype.h>
#include <asm/sysreg.h>

#include "mica_rproc.h"

/* ICC_SGI1R_EL1: Arm IHI 0069, section 12.2 */
#define SGI1R_AFF3	GENMASK_ULL(55, 48)
#define SGI1R_RS	GENMASK_ULL(47, 44)
#define SGI1R_AFF2	GENMASK_ULL(39, 32)
#define SGI1R_INTID	GENMASK_ULL(27, 24)
#define SGI1R_AFF1	GENMASK_ULL(23, 16)
#define SGI1R_TARGETS	16	/* cores per value of RS */

static unsigned int sgi = MICA_DEFAULT_SGI;
module_param(sgi, uint, 0444);
MODULE_PARM_DESC(sgi, "software generated interrupt that wakes firmware (0 to 15)");

/* Sends a software generated interrupt to the core. */
void mica_doorbell_ring(struct mica_rproc *mica, unsigned int number)
{
	unsigned int core = MPIDR_AFFINITY_LEVEL(mica->mpidr, 0);
	u64 value;

	value = FIELD_PREP(SGI1R_AFF3, MPIDR_AFFINITY_LEVEL(mica->mpidr, 3)) |
		FIELD_PREP(SGI1R_AFF2, MPIDR_AFFINITY_LEVEL(mica->mpidr, 2)) |
		FIELD_PREP(SGI1R_AFF1, MPIDR_AFFINITY_LEVEL(mica->mpidr, 1)) |
		FIELD_PREP(SGI1R_RS, core / SGI1R_TARGETS) |
		FIELD_PREP(SGI1R_INTID, number) |
		BIT_ULL(core % SGI1R_TARGETS);

	/* What was written before must be seen by who is woken. */
	dsb(sy);
	write_sysreg_s(value, SYS_ICC_SGI1R_EL1);
	isb();
}

void mica_doorbell_wake(struct mica_rproc *mica)
{
	mica_doorbell_ring(mica, sgi);
}

/* In a thread: the endpoints' callbacks may sleep. */
static irqreturn_t mica_doorbell_thread(int irq, void *data)
{
	struct mica_rproc *mica = data;
	struct rproc *rproc = mica->rproc;
	int i;

	for (i = 0; i <= rproc->max_notifyid; i++)
		rproc_vq_interrupt(rproc, i);
	/* The last sign of life: look soon whether the core went off. */
	if (mica_exit_record_written(mica))
		mod_delayed_work(system_wq, &mica->watch, 1);
	return IRQ_HANDLED;
}

/*
 * The interrupt is on only while the virtqueues exist. As the last of the
 * subdevices this is started after and stopped before the virtio device.
 * A stop that failed is tried again, so stopping twice must do no harm.
 */
static int mica_doorbell_start(struct rproc_subdev *subdev)
{
	struct mica_rproc *mica = container_of(subdev, struct mica_rproc,
					       doorbell);

	mica->doorbell_on = true;
	enable_irq(mica->irq);
	return 0;
}

static void mica_doorbell_stop(struct rproc_subdev *subdev, bool crashed)
{
	struct mica_rproc *mica = container_of(subdev, struct mica_rproc,
					       doorbell);

	if (mica->doorbell_on)
		disable_irq(mica->irq);
	mica->doorbell_on = false;
}

void mica_doorbell_add(struct mica_rproc *mica)
{
	if (mica->doorbell_added)
		return;
	mica->doorbell.start = mica_doorbell_start;
	mica->doorbell.stop = mica_doorbell_stop;
	rproc_add_subdev(mica->rproc, &mica->doorbell);
	mica->doorbell_added = true;
}

void mica_doorbell_remove(struct mica_rproc *mica)
{
	if (!mica->doorbell_added)
		return;
	rproc_remove_subdev(mica->rproc, &mica->doorbell);
	mica->doorbell_added = false;
}

int mica_doorbell_init(struct mica_rproc *mica)
{
	struct platform_device *pdev = to_platform_device(mica->dev);
	int irq;

	if (sgi > 15)
		return dev_err_probe(mica->dev, -EINVAL,
				     "sgi=%u: there are 16 only\n", sgi);
	irq = platform_get_irq(pdev, 0);
	if (irq < 0)
		return irq;
	mica->irq = irq;
	return devm_request_threaded_irq(mica->dev, irq, NULL,
					 mica_doorbell_thread,
					 IRQF_ONESHOT | IRQF_NO_AUTOEN,
					 dev_name(mica->dev), mica);
}
