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

// Lets that many ticks go by without an interrupt.
void timer_postpone(uint64_t ticks);

// Ends that. Returns how many of the postponed ticks have gone by; the next interrupt is that of the tick after them.
uint64_t timer_resume(uint64_t postponed);

#endif
