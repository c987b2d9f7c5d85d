// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of an instance: the RAM of the firmware, the memory that it shares
 * with Linux, and that of the monitor.
 */
#include <linux/device.h>
#include <linux/elf.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/remoteproc.h>

#include "memory.h"

/*
 * Maps a region uncached, because the firmware may run without caches. Fails if
 * Linux or another instance uses the memory.
 */
static int map_region(struct mica_rproc *mica, struct mica_region *region,
		      phys_addr_t base, size_t size, const char *what)
{
	struct device *dev = mica->dev;

	if (!PAGE_ALIGNED(base) || !PAGE_ALIGNED(size) || !size ||
	    upper_32_bits(base + size - 1))
		return dev_err_probe(dev, -EINVAL,
				     "%s at %pa, size 0x%zx: it must be whole pages below 4 GiB\n",
				     what, &base, size);
	if (!devm_request_mem_region(dev, base, size, dev_name(dev)))
		return dev_err_probe(dev, -EBUSY,
				     "%s at %pa, size 0x%zx, is in use: reserve it (reserved-memory, or mem=)\n",
				     what, &base, size);
	region->base = base;
	region->size = size;
	region->va = devm_memremap(dev, base, size, MEMREMAP_WC);
	return PTR_ERR_OR_ZERO(region->va);
}

int mica_memory_init(struct mica_rproc *mica, const struct mica_config *config)
{
	int ret;

	if (config->shm_size < MICA_SHM_MIN)
		return dev_err_probe(mica->dev, -EINVAL,
				     "shared memory of 0x%zx is too small: it must be at least 0x%x\n",
				     config->shm_size, MICA_SHM_MIN);
	ret = map_region(mica, &mica->shm, config->shm_base, config->shm_size,
			 "shared memory");
	if (ret)
		return ret;
	ret = map_region(mica, &mica->ram, config->ram_base, config->ram_size,
			 "firmware RAM");
	if (ret || !config->monitor_size)
		return ret;
	if (config->monitor_size < MICA_MONITOR_SIZE)
		return dev_err_probe(mica->dev, -EINVAL,
				     "memory of 0x%zx is too small for the monitor: it must be at least 0x%x\n",
				     config->monitor_size, MICA_MONITOR_SIZE);
	return map_region(mica, &mica->monitor, config->monitor_base,
			  config->monitor_size, "memory of the monitor");
}

static int add_carveout(struct mica_rproc *mica, const char *name,
			size_t offset, size_t size, bool mapped)
{
	phys_addr_t base = mica->shm.base + offset;
	struct rproc_mem_entry *entry;

	entry = rproc_mem_entry_init(mica->dev,
				     mapped ? mica->shm.va + offset : NULL,
				     base, size, base, NULL, NULL, name);
	if (!entry)
		return -ENOMEM;
	rproc_add_carveout(mica->rproc, entry);
	return 0;
}

/* The virtio device maps the buffers by itself. */
int mica_memory_add_carveouts(struct mica_rproc *mica)
{
	int ret;

	ret = add_carveout(mica, "vdev0vring0", MICA_VRING0_OFFSET,
			   MICA_VRING_SIZE, true);
	if (!ret)
		ret = add_carveout(mica, "vdev0vring1", MICA_VRING1_OFFSET,
				   MICA_VRING_SIZE, true);
	if (!ret)
		ret = add_carveout(mica, "vdev0buffer", MICA_BUFFER_OFFSET,
				   mica_buffer_size(mica), false);
	return ret;
}

/* Has a recovery leave a core dump with the RAM of the firmware, if it is told to. */
void mica_memory_add_dump(struct mica_rproc *mica)
{
	struct rproc *rproc = mica->rproc;

	rproc_coredump_set_elf_info(rproc, ELFCLASS64, EM_AARCH64);
	/* Firmware runs as well without it. */
	if (rproc_coredump_add_segment(rproc, mica->ram.base, mica->ram.size))
		dev_warn(&rproc->dev, "no memory for the list of what a core dump has\n");
}

void *mica_memory_va(struct mica_rproc *mica, u64 addr, size_t len)
{
	if (mica_region_has(&mica->ram, addr, len))
		return mica_region_va(&mica->ram, addr);
	if (mica_region_has(&mica->shm, addr, len))
		return mica_region_va(&mica->shm, addr);
	return NULL;
}
