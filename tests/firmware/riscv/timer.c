// SPDX-License-Identifier: Apache-2.0
#include "timer.h"

#include "board.h"
#include "io.h"

uint64_t timer_counter(void)
{
	uint32_t high, low;

	// A processor of 32 bits cannot read both halves at once.
	do {
		high = read32(MTIME + 4);
		low = read32(MTIME);
	} while (read32(MTIME + 4) != high);
	return (uint64_t)high << 32 | low;
}

uint64_t timer_frequency(void)
{
	return MTIME_HZ;
}
