// SPDX-License-Identifier: Apache-2.0
// Bytes on their way from one task to another. One puts, one takes: neither needs a lock, so that a fault handler can
// take what a task has put.
#ifndef RING_H
#define RING_H

#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *data;
	uint32_t size;	       // a power of two
	volatile uint32_t put;   // bytes ever put
	volatile uint32_t taken; // bytes ever taken
};

static inline size_t ring_used(const struct ring *ring)
{
	return ring->put - ring->taken;
}

static inline size_t ring_room(const struct ring *ring)
{
	return ring->size - ring_used(ring);
}

// Puts what there is room for; returns how much that was.
size_t ring_put(struct ring *ring, const uint8_t *bytes, size_t len);

// The oldest bytes that lie in a row, len of them.
const uint8_t *ring_front(const struct ring *ring, size_t *len);

void ring_drop(struct ring *ring, size_t len);

#endif
