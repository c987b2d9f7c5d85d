// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include "board.h"
#include "devicetree.h"
#include "io.h"

extern char freertos_risc_v_trap_handler[];

// Set by start.S, behind its zeroing of .bss.
const uint8_t *devicetree_blob;

void machine_init(void)
{
	write_csr(mtvec, freertos_risc_v_trap_handler);
}

bool machine_has_uart(unsigned int number)
{
	return number < UARTS;
}
