// SPDX-License-Identifier: Apache-2.0
// The time since the machine started.
#ifndef TIMER_H
#define TIMER_H

#include <stdint.h>

uint64_t timer_counter(void);

// Counter steps per second.
uint64_t timer_frequency(void);

#endif
