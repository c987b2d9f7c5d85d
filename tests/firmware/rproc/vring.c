// SPDX-License-Identifier: Apache-2.0
#include "vring.h"

#include "io.h"

void vring_init(struct vring *vring, uintptr_t addr, uint16_t size, uint32_t align)
{
	uintptr_t avail = addr + sizeof(struct vring_desc) * size;
	// The ring is followed by the used_event field.
	uintptr_t avail_end = avail + sizeof(struct vring_avail) + sizeof(uint16_t) * (size + 1u);
	uintptr_t used = (avail_end + align - 1) & ~(uintptr_t)(align - 1);

	vring->size = size;
	vring->seen = 0;
	vring->desc = (void *)addr;
	vring->avail = (void *)avail;
	vring->used = (void *)used;
}

bool vring_take(struct vring *vring, struct buffer *buffer)
{
	if (vring->avail->idx == vring->seen)
		return false;
	dsb(); // the index before what it makes visible
	buffer->id = vring->avail->ring[vring->seen % vring->size];
	buffer->size = vring->desc[buffer->id].len;
	buffer->data = (volatile uint8_t *)(uintptr_t)vring->desc[buffer->id].addr;
	vring->seen++;
	return true;
}

bool vring_all_available(const struct vring *vring)
{
	return (uint16_t)(vring->avail->idx - vring->seen) == vring->size;
}

void vring_give(struct vring *vring, const struct buffer *buffer, uint32_t len)
{
	uint16_t idx = vring->used->idx;
	volatile struct vring_used_element *element = &vring->used->ring[idx % vring->size];

	element->id = buffer->id;
	element->len = len;
	dsb();
	vring->used->idx = (uint16_t)(idx + 1u);
	dsb();
}
