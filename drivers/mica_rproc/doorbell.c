// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts between Linux and the firmware. Linux sends the firmware a software
 * generated interrupt. The firmware sets a shared peripheral interrupt pending
 * that no device uses, or the monitor does so for it. Firmware that cannot be
 * heard is polled.
 */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/platform_device.h>
#include <linux/remoteproc.h>

#include "doorbell.h"
#include "poll.h"
#include "sgi.h"
#include "vrings.h"

#define MAX_SGI	15

/* Wakes the firmware. */
void mica_doorbell_ring(struct mica_rproc *mica)
{
	mica_sgi_send(mica, mica_sgi_of_firmware());
}

/*
 * Forgets what an earlier firmware has rung at its end, or Linux would believe
 * that this one rings. The interrupt is disabled.
 */
void mica_doorbell_clear(struct mica_rproc *mica)
{
	if (irq_set_irqchip_state(mica->irq, IRQCHIP_STATE_PENDING, false))
		dev_warn(&mica->rproc->dev,
			 "the doorbell's interrupt cannot be cleared\n");
}

/* Runs in a thread, because the callbacks of the endpoints may sleep. */
static irqreturn_t mica_doorbell_thread(int irq, void *data)
{
	struct mica_rproc *mica = data;

	if (mica_vrings_look(mica))
		WRITE_ONCE(mica->heard, MICA_HEARD_BELL);
	return IRQ_HANDLED;
}

/*
 * The interrupt is enabled only while the virtqueues exist. The doorbell is the
 * last of the subdevices: the remoteproc core starts it after the virtio device
 * and stops it before that. User space may repeat a stop that failed, so a
 * second stop must do no harm.
 */
static int mica_doorbell_start(struct rproc_subdev *subdev)
{
	struct mica_rproc *mica = container_of(subdev, struct mica_rproc,
					       doorbell);

	mica->doorbell_on = true;
	enable_irq(mica->irq);
	mica_poll_start(mica);
	return 0;
}

static void mica_doorbell_stop(struct rproc_subdev *subdev, bool crashed)
{
	struct mica_rproc *mica = container_of(subdev, struct mica_rproc,
					       doorbell);

	if (mica->doorbell_on) {
		mica_poll_stop(mica);
		disable_irq(mica->irq);
	}
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

	if (mica_sgi_of_firmware() > MAX_SGI)
		return dev_err_probe(mica->dev, -EINVAL,
				     "sgi=%u: it must be 0 to %u\n",
				     mica_sgi_of_firmware(), MAX_SGI);
	irq = platform_get_irq(pdev, 0);
	if (irq < 0)
		return irq;
	mica->irq = irq;
	mica->doorbell_intid = irqd_to_hwirq(irq_get_irq_data(irq));
	/*
	 * Masked at once when it is disabled: else the kernel keeps what comes
	 * then, where it cannot be cleared.
	 */
	irq_set_status_flags(irq, IRQ_DISABLE_UNLAZY);
	return devm_request_threaded_irq(mica->dev, irq, NULL,
					 mica_doorbell_thread,
					 IRQF_ONESHOT | IRQF_NO_AUTOEN,
					 dev_name(mica->dev), mica);
}
