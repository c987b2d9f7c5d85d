// SPDX-License-Identifier: Apache-2.0
#include "ring.h"

// The compiler must not move an access of the bytes over that of a counter. One core: that is enough.
#define barrier() __asm volatile("" : : : "memory")

size_t ring_put(struct ring *ring, const uint8_t *bytes, size_t len)
{
	size_t room = ring_room(ring);

	if (len > room)
		len = room;
	for (size_t i = 0; i < len; i++)
		ring->data[(ring->put + i) % ring->size] = bytes[i];
	barrier();
	ring->put += (uint32_t)len;
	return len;
}

const uint8_t *ring_front(const struct ring *ring, size_t *len)
{
	size_t used = ring_used(ring);
	size_t start = ring->taken % ring->size;

	barrier();
	*len = used < ring->size - start ? used : ring->size - start;
	return ring->data + start;
}

void ring_drop(struct ring *ring, size_t len)
{
	barrier();
	ring->taken += (uint32_t)len;
}
