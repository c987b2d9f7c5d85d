// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks the resource table of a firmware before the remoteproc core acts on it.
 * The remoteproc core trusts the sizes and addresses in it: what is refused here
 * could reach memory of Linux.
 */
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/remoteproc.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "memory.h"
#include "table.h"

#define MAX_ENTRIES	32
#define MAX_CONFIG	256
#define MAX_BUFFERS	256	/* of one vring; virtio_rpmsg_bus has 512 in all */
#define BUFFER_SIZE	512	/* of virtio_rpmsg_bus */

static int refuse(struct mica_rproc *mica, u32 type, const char *why)
{
	dev_err(&mica->rproc->dev, "resource of type %u: %s\n", type, why);
	return -EINVAL;
}

static int check_vring(struct mica_rproc *mica,
		       const struct fw_rsc_vdev_vring *vring)
{
	if (!is_power_of_2(vring->num) || vring->num > MAX_BUFFERS ||
	    !is_power_of_2(vring->align) || vring->align > PAGE_SIZE)
		return refuse(mica, RSC_VDEV, "bad size or alignment of a vring");
	if (vring_size(vring->num, vring->align) > MICA_VRING_SIZE ||
	    2 * vring->num * BUFFER_SIZE > mica_buffer_size(mica))
		return refuse(mica, RSC_VDEV, "vrings do not fit into the shared memory");
	return 0;
}

static int check_vdev(struct mica_rproc *mica, const struct fw_rsc_vdev *vdev,
		      size_t size)
{
	unsigned int i;

	if (size < sizeof(*vdev) || vdev->num_of_vrings != RVDEV_NUM_VRINGS ||
	    vdev->config_len > MAX_CONFIG ||
	    size < struct_size(vdev, vring, RVDEV_NUM_VRINGS) +
			   vdev->config_len)
		return refuse(mica, RSC_VDEV, "it is cut off, or does not have two vrings");
	if (vdev->id != VIRTIO_ID_RPMSG)
		return refuse(mica, RSC_VDEV, "the only known device is rpmsg");
	for (i = 0; i < RVDEV_NUM_VRINGS; i++) {
		int ret = check_vring(mica, &vdev->vring[i]);

		if (ret)
			return ret;
	}
	return 0;
}

static int check_trace(struct mica_rproc *mica,
		       const struct fw_rsc_trace *trace, size_t size)
{
	if (size < sizeof(*trace))
		return refuse(mica, RSC_TRACE, "it is cut off");
	if (!mica_region_has(&mica->ram, trace->da, trace->len) &&
	    !mica_region_has(&mica->shm, trace->da, trace->len))
		return refuse(mica, RSC_TRACE, "the buffer is outside of the instance's memory");
	return 0;
}

static int check_entry(struct mica_rproc *mica, const struct fw_rsc_hdr *entry,
		       size_t size)
{
	size -= sizeof(*entry);
	switch (entry->type) {
	case RSC_VDEV:
		return check_vdev(mica, (const void *)entry->data, size);
	case RSC_TRACE:
		return check_trace(mica, (const void *)entry->data, size);
	case RSC_VENDOR_START ... RSC_VENDOR_END:
		return 0;
	default:
		return refuse(mica, entry->type, "this driver does not support it");
	}
}

static const struct fw_rsc_hdr *entry_at(const struct resource_table *table,
					 unsigned int i)
{
	return (const void *)table + table->offset[i];
}

int mica_table_check(struct mica_rproc *mica,
		     const struct resource_table *table, size_t size)
{
	struct device *dev = &mica->rproc->dev;
	unsigned int i, vdevs = 0;
	size_t head;

	if (size < sizeof(*table) || table->ver != 1 || table->reserved[0] ||
	    table->reserved[1] || table->num > MAX_ENTRIES) {
		dev_err(dev, "resource table has a bad header\n");
		return -EINVAL;
	}
	head = struct_size(table, offset, table->num);
	for (i = 0; i < table->num; i++) {
		u32 offset = head <= size ? table->offset[i] : 0;
		int ret;

		if (offset < head || offset > size || !IS_ALIGNED(offset, 4) ||
		    size - offset < sizeof(struct fw_rsc_hdr)) {
			dev_err(dev, "resource table is cut off at entry %u\n",
				i);
			return -EINVAL;
		}
		ret = check_entry(mica, entry_at(table, i), size - offset);
		if (ret)
			return ret;
		vdevs += entry_at(table, i)->type == RSC_VDEV;
	}
	if (vdevs > 1) {
		dev_err(dev, "resource table has %u virtio devices, not one\n",
			vdevs);
		return -EINVAL;
	}
	return 0;
}
