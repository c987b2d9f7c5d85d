// SPDX-License-Identifier: Apache-2.0
// The virtual timer rather than the physical: it stands still while a hypervisor pauses the firmware.
#include "tick.h"
#include "timer.h"

#include "io.h"

static uint64_t period;

uint64_t timer_counter(void)
{
	isb(); // the counter may be read early, out of order
	return read_sysreg(cntvct_el0);
}

uint64_t timer_frequency(void)
{
	return read_sysreg(cntfrq_el0);
}

void timer_start(uint32_t ticks_per_second)
{
	period = timer_frequency() / ticks_per_second;
	write_sysreg(cntv_cval_el0, timer_counter() + period);
	write_sysreg(cntv_ctl_el0, 1);
	isb();
}

void timer_rearm(void)
{
	// From the last deadline, not from now, so that late interrupts do not slow the clock down.
	write_sysreg(cntv_cval_el0, read_sysreg(cntv_cval_el0) + period);
	isb();
}

void timer_postpone(uint64_t ticks)
{
	write_sysreg(cntv_cval_el0, read_sysreg(cntv_cval_el0) + ticks * period);
	isb();
}

uint64_t timer_resume(uint64_t postponed)
{
	uint64_t next = read_sysreg(cntv_cval_el0) - postponed * period;
	uint64_t now = timer_counter();
	uint64_t missed = now < next ? 0 : (now - next) / period + 1;

	if (missed > postponed)
		missed = postponed;
	write_sysreg(cntv_cval_el0, next + missed * period);
	isb();
	return missed;
}
