// SPDX-License-Identifier: Apache-2.0
// GICv3 as seen by one core: its own redistributor and CPU interface, and shared interrupts routed to it.
#ifndef GIC_H
#define GIC_H

#include <stdbool.h>
#include <stdint.h>

// False if the core has no GICv3 system registers.
bool gic_present(void);

// Switches the distributor on. For the owner of the machine only: on a spare core of a running Linux the
// distributor is on already, and not ours to touch.
void gic_enable_distributor(void);

// Starts with every private peripheral interrupt off and none active, whatever the core was used for before.
void gic_init_core(void);

// Leaves the core's interrupts off, for whoever uses the core next.
void gic_leave_core(void);

// Enables an interrupt as level-triggered Group 1: of the core itself (INTID 16 to 31) or shared (32 and
// up, routed to this core).
void gic_enable(uint32_t intid, uint8_t priority);

#endif
