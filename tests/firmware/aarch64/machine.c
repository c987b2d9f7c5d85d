// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include "devicetree.h"
#include "fault.h"
#include "gic.h"
#include "io.h"

extern char _freertos_vector_table[];

// The start of RAM.
const uint8_t *devicetree_blob = (const uint8_t *)0x40000000ul;

void machine_init(void)
{
	write_sysreg(vbar_el1, _freertos_vector_table);
	isb();
	if (!gic_present())
		panic("no GICv3; start the machine as virt,gic-version=3");
	gic_enable_distributor();
	gic_init_core();
}

bool machine_has_uart(unsigned int number)
{
	return number == 0 || devicetree_has_node("pl011@9040000");
}
