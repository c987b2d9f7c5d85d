// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux's side of the monitor that runs at EL2 of the spare core.
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/irqchip/arm-gic-v3.h>
#include <linux/jiffies.h>
#include <linux/string.h>

#include "gic.h"
#include "monitor.h"
#include "sgi.h"

#define COMMAND_TIMEOUT_MS	1000
/* The monitor answers within microseconds, which is less than a sleep takes. */
#define COMMAND_BUSY_US		50

static void *control_at(struct mica_rproc *mica, size_t offset)
{
	return mica->monitor.va + mica_monitor_control_offset + offset;
}

static u32 monitor_state(struct mica_rproc *mica)
{
	if (!mica->monitor.va)
		return MONITOR_STATE_NONE;
	return READ_ONCE(*(u32 *)control_at(mica, MONITOR_STATE));
}

/*
 * Copies the monitor into its memory, if the instance has memory for it. Returns
 * the address where the core has to start.
 */
phys_addr_t mica_monitor_install(struct mica_rproc *mica, u64 entry)
{
	if (!mica->monitor.va)
		return entry;
	memcpy(mica->monitor.va, mica_monitor_code,
	       mica_monitor_code_end - mica_monitor_code);
	WRITE_ONCE(*(u64 *)control_at(mica, MONITOR_ENTRY), entry);
	WRITE_ONCE(*(u64 *)control_at(mica, MONITOR_SELF),
		   mica_sgi_target(mica));
	WRITE_ONCE(*(u64 *)control_at(mica, MONITOR_DOORBELL),
		   mica->gicd + GICD_ISPENDR +
			   mica->doorbell_intid / 32 * sizeof(u32));
	WRITE_ONCE(*(u32 *)control_at(mica, MONITOR_DOORBELL_BIT),
		   BIT(mica->doorbell_intid % 32));
	WRITE_ONCE(*(u32 *)control_at(mica, MONITOR_FIRMWARE_SGI),
		   mica_sgi_of_firmware());
	return mica->monitor.base;
}

bool mica_monitor_paused(struct mica_rproc *mica)
{
	return monitor_state(mica) == MONITOR_STATE_PAUSED;
}

bool mica_monitor_active(struct mica_rproc *mica)
{
	return monitor_state(mica) == MONITOR_STATE_RUNNING ||
	       mica_monitor_paused(mica);
}

static bool monitor_is_done(struct mica_rproc *mica, u32 state)
{
	return monitor_state(mica) == state &&
	       (state == MONITOR_STATE_OFF ||
		READ_ONCE(*(u32 *)control_at(mica, MONITOR_COMMAND)) ==
			MONITOR_COMMAND_NONE);
}

static int monitor_command(struct mica_rproc *mica, u32 command, u32 state)
{
	unsigned long end = jiffies + msecs_to_jiffies(COMMAND_TIMEOUT_MS);
	int tries;

	if (!mica_monitor_active(mica))
		return -EOPNOTSUPP;
	WRITE_ONCE(*(u32 *)control_at(mica, MONITOR_COMMAND), command);
	/* The firmware may have disabled the interrupt. */
	mica_gic_enable_sgi(mica, MONITOR_SGI);
	mica_sgi_send(mica, MONITOR_SGI);
	for (tries = 0; !monitor_is_done(mica, state); tries++) {
		if (time_after(jiffies, end)) {
			dev_err(&mica->rproc->dev,
				"the monitor of CPU%u does not answer\n",
				mica->cpu);
			return -ETIMEDOUT;
		}
		if (tries < COMMAND_BUSY_US)
			udelay(1);
		else
			usleep_range(20, 100);
	}
	return 0;
}

/* Switches the core off, whatever the firmware is doing. */
int mica_monitor_kill(struct mica_rproc *mica)
{
	return monitor_command(mica, MONITOR_COMMAND_OFF, MONITOR_STATE_OFF);
}

int mica_monitor_pause(struct mica_rproc *mica)
{
	return monitor_command(mica, MONITOR_COMMAND_PAUSE,
			       MONITOR_STATE_PAUSED);
}

int mica_monitor_resume(struct mica_rproc *mica)
{
	return monitor_command(mica, MONITOR_COMMAND_RESUME,
			       MONITOR_STATE_RUNNING);
}

/* Reads the registers of firmware that is paused, or has ended. */
int mica_monitor_registers(struct mica_rproc *mica,
			   u64 registers[MICA_REGISTERS])
{
	if (!mica_monitor_paused(mica) &&
	    monitor_state(mica) != MONITOR_STATE_OFF)
		return -EOPNOTSUPP;
	memcpy(registers, mica->monitor.va + mica_monitor_frame_offset,
	       MICA_GENERAL_REGISTERS * sizeof(u64));
	registers += MICA_GENERAL_REGISTERS;
	registers[0] = *(u64 *)control_at(mica, MONITOR_SP);
	registers[1] = *(u64 *)control_at(mica, MONITOR_PC);
	registers[2] = *(u64 *)control_at(mica, MONITOR_PSTATE);
	return 0;
}

/*
 * Makes memory and the caches of the core agree, while the firmware is paused.
 * Linux does not cache this memory.
 */
int mica_monitor_clean(struct mica_rproc *mica, u64 begin, u64 end)
{
	if (!mica_monitor_paused(mica))
		return -EOPNOTSUPP;
	WRITE_ONCE(*(u64 *)control_at(mica, MONITOR_CLEAN_BEGIN), begin);
	WRITE_ONCE(*(u64 *)control_at(mica, MONITOR_CLEAN_END), end);
	return monitor_command(mica, MONITOR_COMMAND_CLEAN,
			       MONITOR_STATE_PAUSED);
}
