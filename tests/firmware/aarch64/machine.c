// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include "board.h"
#include "devicetree.h"
#include "exit_record.h"
#include "fault.h"
#include "gic.h"
#include "io.h"
#include "irq.h"

// Registers of a PL061.
#define GPIO_RISING_EDGE 0x40c
#define GPIO_INTERRUPTS	 0x410

extern char _freertos_vector_table[];

// The start of RAM.
const uint8_t *devicetree_blob = (const uint8_t *)0x40000000ul;

static void button_pressed(void)
{
	exit_firmware(EXIT_NORMAL, 0);
}

static void button_init(void)
{
	write32(BUTTON_PORT + GPIO_RISING_EDGE, BUTTON_PIN);
	irq_enable(BUTTON_IRQ, button_pressed);
	write32(BUTTON_PORT + GPIO_INTERRUPTS, BUTTON_PIN);
}

void machine_init(void)
{
	write_sysreg(vbar_el1, _freertos_vector_table);
	isb();
	if (!gic_present())
		panic("no GICv3; start the machine as virt,gic-version=3");
	gic_enable_distributor();
	gic_init_core();
	button_init();
}

bool machine_has_uart(unsigned int number)
{
	return number == 0 || devicetree_has_node("pl011@9040000");
}
