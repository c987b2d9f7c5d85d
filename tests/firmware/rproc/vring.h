// SPDX-License-Identifier: Apache-2.0
// The device's side of a split virtqueue (virtio 1.2, section 2.7): it takes buffers that the driver, Linux, has made
// available, and gives them back used.
#ifndef VRING_H
#define VRING_H

#include <stdbool.h>
#include <stdint.h>

struct vring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct vring_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];
};

struct vring_used_element {
	uint32_t id;
	uint32_t len;
};

struct vring_used {
	uint16_t flags;
	uint16_t idx;
	struct vring_used_element ring[];
};

struct vring {
	uint16_t size;
	uint16_t seen; // of avail->idx
	volatile struct vring_desc *desc;
	volatile struct vring_avail *avail;
	volatile struct vring_used *used;
};

struct buffer {
	uint16_t id;
	uint32_t size;
	volatile uint8_t *data;
};

void vring_init(struct vring *vring, uintptr_t addr, uint16_t size, uint32_t align);

// Takes the next buffer; false if there is none.
bool vring_take(struct vring *vring, struct buffer *buffer);

// True if every buffer is available: Linux has taken all that were given back.
bool vring_all_available(const struct vring *vring);

// Gives a buffer back, of which len bytes were written.
void vring_give(struct vring *vring, const struct buffer *buffer, uint32_t len);

#endif
