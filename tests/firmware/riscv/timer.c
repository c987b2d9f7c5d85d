// SPDX-License-Identifier: Apache-2.0
#include "timer.h"

#include "board.h"
#include "io.h"

uint64_t timer_counter(void)
{
	return read64(MTIME);
}

uint64_t timer_frequency(void)
{
	return MTIME_HZ;
}
