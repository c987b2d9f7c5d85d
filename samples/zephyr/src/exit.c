/* SPDX-License-Identifier: Apache-2.0 */
#include <micrun/exit.h>

#include <zephyr/fatal.h>
#include <zephyr/irq.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log_ctrl.h>

#include "power_off.h"

#define MAGIC		0x5458454du /* "MEXT" in memory */
#define KIND_EXIT	0u
#define KIND_FAULT	1u

/* 128 + the signals by which a process would end. */
#define STATUS_ABORT	134u
#define STATUS_SEGV	139u

/* Zeroed by the kernel when it starts: without the magic number the record does not count. */
static volatile struct {
	uint32_t magic;
	uint32_t kind;
	uint32_t status;
	uint32_t reserved;
} exit_record __used __aligned(16);

#ifdef CONFIG_64BIT
#define ADDRESS ".8byte exit_record"
#else
#define ADDRESS ".4byte exit_record, 0"
#endif

/* The daemon finds the record by this note. */
__asm__(".pushsection .note.micrun, \"a\", %note\n"
	"	.balign	4\n"
	"	.4byte	7, 8, 1\n"
	"	.asciz	\"micrun\"\n"
	"	.balign	4\n"
	"	" ADDRESS "\n"
	"	.popsection\n");

static FUNC_NORETURN void end(uint32_t kind, uint32_t status)
{
	(void)irq_lock();
	exit_record.kind = kind;
	exit_record.status = status;
	__sync_synchronize();
	exit_record.magic = MAGIC;
	__sync_synchronize();
	power_off();
}

FUNC_NORETURN void micrun_exit(int status)
{
	end(KIND_EXIT, (uint8_t)status);
}

/* Zephyr calls this after it has printed registers and reason. Its own version halts, and the container would run on. */
void k_sys_fatal_error_handler(unsigned int reason, const z_arch_esf_t *frame)
{
	ARG_UNUSED(frame);
	LOG_PANIC();
	switch (reason) {
	case K_ERR_KERNEL_OOPS:
	case K_ERR_KERNEL_PANIC:
	case K_ERR_STACK_CHK_FAIL:
		end(KIND_FAULT, STATUS_ABORT);
	default:
		end(KIND_FAULT, STATUS_SEGV);
	}
}
