// SPDX-License-Identifier: Apache-2.0
// The periodic tick, by the virtual timer of the core.
#ifndef TICK_H
#define TICK_H

#include <stdint.h>

#define TIMER_INTID 27 // PPI 11

// Starts the tick; the interrupt must be enabled in the GIC by the caller.
void timer_start(uint32_t ticks_per_second);

// Ends the pending tick and arms the next.
void timer_rearm(void);

#endif
