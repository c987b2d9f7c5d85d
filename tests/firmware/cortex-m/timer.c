// SPDX-License-Identifier: Apache-2.0
// The counter in the board's FPGA (Arm DAI 0385, "FPGA system control and I/O"), which has 32 bits.
#include "timer.h"

#include "board.h"
#include "io.h"

#define FPGAIO_COUNTER	0x40028018ul
#define FPGAIO_PRESCALE	0x4002801cul
#define FREQUENCY	1000000u

uint64_t timer_counter(void)
{
	static uint64_t total;
	uint32_t interrupts = save_interrupts();
	uint64_t now;

	if (total == 0) {
		write32(FPGAIO_PRESCALE, BOARD_CLOCK_HZ / FREQUENCY - 1);
		write32(FPGAIO_COUNTER, 0);
	}
	total += (uint32_t)(read32(FPGAIO_COUNTER) - (uint32_t)total);
	now = total;
	restore_interrupts(interrupts);
	return now;
}

uint64_t timer_frequency(void)
{
	return FREQUENCY;
}
