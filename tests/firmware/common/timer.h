// SPDX-License-Identifier: Apache-2.0
// The virtual timer of the core: the periodic tick and the time since the machine started.
#ifndef TIMER_H
#define TIMER_H

#include <stdint.h>

#define TIMER_INTID 27 // PPI 11

// Starts the tick; the interrupt must be enabled in the GIC by the caller.
void timer_start(uint32_t ticks_per_second);

// Ends the pending tick and arms the next.
void timer_rearm(void);

uint64_t timer_counter(void);

// Counter steps per second.
uint64_t timer_frequency(void);

#endif
