/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the driver and the monitor at EL2 share. The assembler reads it, too.
 */
#ifndef MICA_RPROC_MONITOR_H
#define MICA_RPROC_MONITOR_H

#define MONITOR_SGI	15	/* from Linux to the monitor */

/* Offsets in the control block. The fields before MONITOR_COMMAND have 64 bits. */
#define MONITOR_ENTRY		0	/* where the firmware starts */
#define MONITOR_PAUSED_AT	8	/* CNTPCT_EL0 */
#define MONITOR_SELF		16	/* this core, as ICC_SGI1R_EL1 names it */
#define MONITOR_DOORBELL	24	/* address of the doorbell's GICD_ISPENDR<n> */
#define MONITOR_PC		32	/* where the firmware was paused or ended */
#define MONITOR_SP		40
#define MONITOR_PSTATE		48
#define MONITOR_CLEAN_BEGIN	56	/* what MONITOR_COMMAND_CLEAN is about */
#define MONITOR_CLEAN_END	64
#define MONITOR_COMMAND		72	/* the monitor sets it to none when it is done */
#define MONITOR_STATE		76
#define MONITOR_DOORBELL_BIT	80	/* what to write there */
#define MONITOR_FIRMWARE_SGI	84	/* by which firmware may ring the doorbell */
#define MONITOR_CONTROL_SIZE	88

#define MONITOR_COMMAND_NONE	0
#define MONITOR_COMMAND_OFF	1
#define MONITOR_COMMAND_PAUSE	2
#define MONITOR_COMMAND_RESUME	3
/* Memory gets what the core's caches hold, and the caches forget it. */
#define MONITOR_COMMAND_CLEAN	4

#define MONITOR_STATE_NONE	0	/* has not started */
#define MONITOR_STATE_NO_EL2	1	/* does not run: the core started at EL1 */
#define MONITOR_STATE_RUNNING	2
#define MONITOR_STATE_PAUSED	3
#define MONITOR_STATE_OFF	4

#ifndef __ASSEMBLY__

#include "mica_rproc.h"

/* monitor_code.S */
extern const char mica_monitor_code[], mica_monitor_code_end[];
extern const u64 mica_monitor_control_offset, mica_monitor_frame_offset;

/* In the order of the debuggers: x0 to x30, SP, PC, PSTATE. */
#define MICA_GENERAL_REGISTERS	31
#define MICA_REGISTERS		(MICA_GENERAL_REGISTERS + 3)

/* monitor.c */
phys_addr_t mica_monitor_install(struct mica_rproc *mica, u64 entry);
bool mica_monitor_active(struct mica_rproc *mica);
bool mica_monitor_paused(struct mica_rproc *mica);
int mica_monitor_kill(struct mica_rproc *mica);
int mica_monitor_pause(struct mica_rproc *mica);
int mica_monitor_resume(struct mica_rproc *mica);
int mica_monitor_registers(struct mica_rproc *mica,
			   u64 registers[MICA_REGISTERS]);
int mica_monitor_clean(struct mica_rproc *mica, u64 begin, u64 end);

#endif
#endif
