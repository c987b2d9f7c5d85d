/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The monitor keeps EL2 of a spare core while firmware runs at EL1. With it,
 * Linux can stop and pause firmware that ignores requests. The driver copies
 * this code into the monitor's memory, and the core starts there. The code is
 * position independent. EL2 runs without MMU, with one stack and with interrupts
 * masked.
 *
 * Physical interrupts arrive at EL2. The monitor hands them to EL1 through the
 * list registers. The firmware uses its interrupt controller as it would without
 * the monitor.
 */
#include <linux/linkage.h>
#include <asm/assembler.h>

#include "monitor.h"

#define SCTLR_EL1_OFF	0x30d00800	/* MMU and caches off, RES1 */
#define SCTLR_EL2_OFF	0x30c50830
#define HCR_EL2_VALUE	((1 << 31) | (1 << 19) | (1 << 4)) /* RW, TSC, IMO */
#define CPTR_EL2_VALUE	0x33ff		/* no traps */
#define SPSR_EL1H	0x3c5		/* all interrupts masked */
#define SPSR_SPSEL	1		/* SP_EL1 rather than SP_EL0 */
#define CTR_DMINLINE	16		/* log2 of the words of a cache line */
#define ICC_SRE_VALUE	0xf
#define ICC_EOI_SPLIT	(1 << 1)	/* ICC_CTLR_EL1.EOImode */

#define PRIORITY_ANY	0xff
#define PRIORITY_PAUSED	0x10		/* only the monitor's SGI gets through */
#define SPECIAL_INTID	1020
#define FIRST_PPI	16

#define LR_PENDING	62
#define LR_HW		61
#define LR_GROUP1	60
#define LR_PRIORITY	48
#define LR_PINTID	32

#define ESR_CLASS	26
#define CLASS_HVC	0x16
#define CLASS_SMC	0x17
#define CLASS_SYSREG	0x18
/* A write of ICC_SGI1R_EL1. The mask leaves out the general register. */
#define ISS_SGI1R	((3 << 20) | (5 << 17) | (0 << 14) | (12 << 10) | (11 << 1))
/* What tells a core's neighbours from the rest of the machine: affinities, RS, IRM. */
#define SGI1R_PLACE	((0xff << 48) | (0xf << 44) | (1 << 40) | (0xff << 32) | (0xff << 16))
#define SGI1R_TARGETS	0xffff
#define SGI1R_INTID	24
#define ISS_SYSREG_MASK	((3 << 20) | (7 << 17) | (7 << 14) | (15 << 10) | (15 << 1) | 1)

#define PSCI_VERSION		0x84000000
#define PSCI_CPU_OFF		0x84000002
#define PSCI_AFFINITY_INFO	0x84000004
#define PSCI_AFFINITY_INFO_64	0xc4000004
#define PSCI_SYSTEM_OFF		0x84000008
#define PSCI_SYSTEM_RESET	0x84000009
#define PSCI_FEATURES		0x8400000a
#define PSCI_NOT_SUPPORTED	-1

#define FRAME		256

	.macro	pair op, n
	.irp	m, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29
	.if	\m == \n + 1
	\op	x\n, x\m, [sp, #8 * \n]
	.endif
	.endr
	.endm

	.macro	save
	sub	sp, sp, #FRAME
	.irp	n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28
	pair	stp, \n
	.endr
	stp	x30, xzr, [sp, #240]
	.endm

	.macro	restore
	.irp	n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28
	pair	ldp, \n
	.endr
	ldr	x30, [sp, #240]
	add	sp, sp, #FRAME
	.endm

	/* If the list register holds interrupt x0, sets it pending and returns. */
	.macro	merge lr
	mrs_s	x3, \lr
	lsr	x4, x3, #LR_PENDING
	cbz	x4, 3f
	cmp	w3, w0
	b.ne	3f
	orr	x3, x3, #(1 << LR_PENDING)
	msr_s	\lr, x3
	ret
3:
	.endm

	/* If the list register is free, puts x2 into it and returns. */
	.macro	fill lr
	mrs_s	x3, \lr
	lsr	x3, x3, #LR_PENDING
	cbnz	x3, 4f
	msr_s	\lr, x2
	ret
4:
	.endm

	/* Empties the list register; deactivates a physical interrupt that was in it. */
	.macro	drain lr
	mrs_s	x1, \lr
	lsr	x3, x1, #LR_PENDING
	cbz	x3, 8f
	tbz	x1, #LR_HW, 8f
	ubfx	x0, x1, #LR_PINTID, #10
	msr_s	SYS_ICC_DIR_EL1, x0
8:	msr_s	\lr, xzr
	.endm

	/* Notes where the firmware is in the control block, whose address is in x19. */
	.macro	remember
	mrs	x2, elr_el2
	str	x2, [x19, #MONITOR_PC]
	mrs	x2, spsr_el2
	str	x2, [x19, #MONITOR_PSTATE]
	mrs	x3, sp_el0
	mrs	x4, sp_el1
	tst	x2, #SPSR_SPSEL
	csel	x2, x3, x4, eq
	str	x2, [x19, #MONITOR_SP]
	.endm

	.section .rodata.mica_monitor, "a"
	.balign	4096
SYM_DATA_START(mica_monitor_code)

	/* PSCI CPU_ON starts the core here. */
	msr	daifset, #0xf
	adr	x19, control
	ldr	x20, [x19, #MONITOR_ENTRY]
	mrs	x0, CurrentEL
	cmp	x0, #(2 << 2)
	b.eq	setup
	mov	w0, #MONITOR_STATE_NO_EL2
	str	w0, [x19, #MONITOR_STATE]
	dsb	sy
	mov	x0, #0
	br	x20

setup:
	adr	x0, stack_top
	mov	sp, x0
	adr	x0, vectors
	msr	vbar_el2, x0
	mov_q	x0, SCTLR_EL2_OFF
	msr	sctlr_el2, x0
	mov_q	x0, HCR_EL2_VALUE
	msr	hcr_el2, x0
	mov	x0, #CPTR_EL2_VALUE
	msr	cptr_el2, x0
	msr	hstr_el2, xzr
	msr	cntvoff_el2, xzr
	mov	x0, #3
	msr	cnthctl_el2, x0
	mrs	x0, midr_el1
	msr	vpidr_el2, x0
	mrs	x0, mpidr_el1
	msr	vmpidr_el2, x0

	mov	x0, #ICC_SRE_VALUE
	msr_s	SYS_ICC_SRE_EL2, x0
	isb
	msr_s	SYS_ICH_LR0_EL2, xzr
	msr_s	SYS_ICH_LR1_EL2, xzr
	msr_s	SYS_ICH_LR2_EL2, xzr
	msr_s	SYS_ICH_LR3_EL2, xzr
	msr_s	SYS_ICH_VMCR_EL2, xzr
	mov	x0, #1
	msr_s	SYS_ICH_HCR_EL2, x0
	mov	x0, #ICC_EOI_SPLIT
	msr_s	SYS_ICC_CTLR_EL1, x0
	mov	x0, #PRIORITY_ANY
	msr_s	SYS_ICC_PMR_EL1, x0
	mov	x0, #1
	msr_s	SYS_ICC_IGRPEN1_EL1, x0

	mov_q	x0, SCTLR_EL1_OFF
	msr	sctlr_el1, x0
	mov	x0, #SPSR_EL1H
	msr	spsr_el2, x0
	msr	elr_el2, x20
	mov	w0, #MONITOR_STATE_RUNNING
	str	w0, [x19, #MONITOR_STATE]
	dsb	sy
	isb
	mov	x0, #0
	eret

/* An interrupt for the firmware, or Linux's command to the monitor. */
irq:
	save
	adr	x19, control
next_irq:
	mrs_s	x0, SYS_ICC_IAR1_EL1
	dsb	sy
	cmp	x0, #SPECIAL_INTID
	b.hs	no_irq
	mrs_s	x1, SYS_ICC_RPR_EL1
	msr_s	SYS_ICC_EOIR1_EL1, x0	/* drops the priority, nothing more */
	isb
	cmp	x0, #MONITOR_SGI
	b.eq	command
	bl	inject
	b	next_irq
no_irq:
	ldr	w0, [x19, #MONITOR_STATE]
	cmp	w0, #MONITOR_STATE_PAUSED
	b.ne	leave
	wfi
	b	next_irq
leave:
	restore
	eret

command:
	msr_s	SYS_ICC_DIR_EL1, x0
	ldr	w0, [x19, #MONITOR_COMMAND]
	ldr	w1, [x19, #MONITOR_STATE]
	cmp	w0, #MONITOR_COMMAND_OFF
	b.eq	power_off
	cmp	w0, #MONITOR_COMMAND_PAUSE
	b.eq	pause
	cmp	w1, #MONITOR_STATE_PAUSED
	b.ne	done
	cmp	w0, #MONITOR_COMMAND_CLEAN
	b.eq	clean
	cmp	w0, #MONITOR_COMMAND_RESUME
	b.ne	done

	/* The virtual time continues from where it stopped. */
	isb
	mrs	x2, cntpct_el0
	ldr	x3, [x19, #MONITOR_PAUSED_AT]
	sub	x2, x2, x3
	mrs	x3, cntvoff_el2
	add	x2, x2, x3
	msr	cntvoff_el2, x2
	mov	x0, #PRIORITY_ANY
	mov	w1, #MONITOR_STATE_RUNNING
	b	set_state
pause:
	cmp	w1, #MONITOR_STATE_RUNNING
	b.ne	done
	remember
	isb
	mrs	x2, cntpct_el0
	str	x2, [x19, #MONITOR_PAUSED_AT]
	mov	x0, #PRIORITY_PAUSED
	mov	w1, #MONITOR_STATE_PAUSED
set_state:
	msr_s	SYS_ICC_PMR_EL1, x0
	isb
	str	w1, [x19, #MONITOR_STATE]
done:
	dsb	sy
	str	wzr, [x19, #MONITOR_COMMAND]
	dsb	sy
	b	next_irq

/* The MMU is off, so addresses are those of the memory. */
clean:
	ldr	x2, [x19, #MONITOR_CLEAN_BEGIN]
	ldr	x3, [x19, #MONITOR_CLEAN_END]
	mrs	x4, ctr_el0
	ubfx	x4, x4, #CTR_DMINLINE, #4
	mov	x5, #4
	lsl	x5, x5, x4
	sub	x4, x5, #1
	bic	x2, x2, x4
1:	cmp	x2, x3
	b.hs	2f
	dc	civac, x2
	add	x2, x2, x5
	b	1b
2:	dsb	sy
	ic	ialluis
	dsb	sy
	isb
	b	done

/*
 * Makes interrupt x0 with priority x1 pending for EL1. When the firmware ends an
 * interrupt, the hardware deactivates the physical one as well. It cannot do so
 * for software generated interrupts: those are deactivated here, and merged with
 * one that is pending. If all four list registers are in use, the interrupt is
 * lost.
 */
inject:
	mov	x2, #((1 << (LR_PENDING - LR_GROUP1)) | 1)
	lsl	x2, x2, #LR_GROUP1
	orr	x2, x2, x1, lsl #LR_PRIORITY
	orr	x2, x2, x0
	cmp	x0, #FIRST_PPI
	b.lo	1f
	orr	x2, x2, #(1 << LR_HW)
	orr	x2, x2, x0, lsl #LR_PINTID
	b	2f
1:	msr_s	SYS_ICC_DIR_EL1, x0
	merge	SYS_ICH_LR0_EL2
	merge	SYS_ICH_LR1_EL2
	merge	SYS_ICH_LR2_EL2
	merge	SYS_ICH_LR3_EL2
2:	fill	SYS_ICH_LR0_EL2
	fill	SYS_ICH_LR1_EL2
	fill	SYS_ICH_LR2_EL2
	fill	SYS_ICH_LR3_EL2
	cmp	x0, #FIRST_PPI
	b.lo	5f
	msr_s	SYS_ICC_DIR_EL1, x0
5:	ret

/* The firmware has made a call or written a register that sends interrupts. */
sync:
	save
	mrs	x9, esr_el2
	lsr	x10, x9, #ESR_CLASS
	cmp	x10, #CLASS_HVC
	b.eq	call
	mrs	x11, elr_el2		/* go on behind the instruction */
	add	x11, x11, #4
	msr	elr_el2, x11
	cmp	x10, #CLASS_SMC
	b.eq	call
	cmp	x10, #CLASS_SYSREG
	b.ne	power_off		/* nothing else is trapped */
	mov_q	x11, ISS_SYSREG_MASK
	and	x11, x9, x11
	mov_q	x12, ISS_SGI1R
	cmp	x11, x12
	b.ne	leave
	ubfx	x9, x9, #5, #5
	ldr	x0, [sp, x9, lsl #3]

/*
 * The firmware sends the software generated interrupt x0. Linux uses all of them
 * for itself, so none gets there. The one by which MICA firmware calls Linux
 * becomes the doorbell. Those to this core pass, but for the monitor's.
 */
	adr	x19, control
	ldr	x1, [x19, #MONITOR_SELF]
	ubfx	x2, x0, #SGI1R_INTID, #4
	eor	x3, x0, x1
	mov_q	x4, SGI1R_PLACE
	tst	x3, x4
	b.ne	to_others
	and	x4, x1, #SGI1R_TARGETS
	tst	x0, x4
	b.eq	not_to_self
	cmp	x2, #MONITOR_SGI
	b.eq	not_to_self
	orr	x3, x1, x2, lsl #SGI1R_INTID
	msr_s	SYS_ICC_SGI1R_EL1, x3
	isb
not_to_self:
	bic	x0, x0, x4
	tst	x0, #SGI1R_TARGETS
	b.eq	leave
to_others:
	ldr	w3, [x19, #MONITOR_FIRMWARE_SGI]
	cmp	w2, w3
	b.ne	leave
	ldr	x3, [x19, #MONITOR_DOORBELL]
	ldr	w4, [x19, #MONITOR_DOORBELL_BIT]
	dsb	sy
	str	w4, [x3]
	b	leave

/*
 * PSCI. The firmware may use the calls that concern its core alone, because the
 * machine and the other cores belong to Linux. A call that switches the machine
 * off or resets it switches off the core.
 */
call:
	.irp	function, PSCI_CPU_OFF, PSCI_SYSTEM_OFF, PSCI_SYSTEM_RESET
	mov_q	x9, \function
	cmp	w0, w9
	b.eq	power_off
	.endr
	.irp	function, PSCI_VERSION, PSCI_FEATURES, PSCI_AFFINITY_INFO, PSCI_AFFINITY_INFO_64
	mov_q	x9, \function
	cmp	w0, w9
	b.eq	6f
	.endr
	mov	x0, #PSCI_NOT_SUPPORTED
	b	7f
6:	smc	#0
7:	str	x0, [sp]
	b	leave

/* An exception of the firmware that nobody expects. */
lost:
	save

/*
 * Leaves the interrupt controller as the next user of the core expects it, and
 * the registers of the firmware for whoever asks what became of it.
 */
power_off:
	adr	x19, control
	remember
	drain	SYS_ICH_LR0_EL2
	drain	SYS_ICH_LR1_EL2
	drain	SYS_ICH_LR2_EL2
	drain	SYS_ICH_LR3_EL2
	msr_s	SYS_ICH_HCR_EL2, xzr
	msr_s	SYS_ICC_IGRPEN1_EL1, xzr
	msr_s	SYS_ICC_CTLR_EL1, xzr
	msr	cntv_ctl_el0, xzr
	msr	cntp_ctl_el0, xzr
	mov	w0, #MONITOR_STATE_OFF
	str	w0, [x19, #MONITOR_STATE]
	dsb	sy
	isb
	mov_q	x0, PSCI_CPU_OFF
	smc	#0
9:	wfi
	b	9b

	.balign	0x800
vectors:
	/* Exceptions at EL2: a fault in the monitor. */
	.rept	8
	.balign	0x80
	b	power_off
	.endr
	/* From EL1, AArch64. */
	.balign	0x80
	b	sync
	.balign	0x80
	b	irq
	/* FIQ, SError, and AArch32. */
	.rept	6
	.balign	0x80
	b	lost
	.endr

	.balign	16
	.skip	FRAME + 256
stack_top:

	.balign	16
control:
	.skip	MONITOR_CONTROL_SIZE

SYM_DATA_END_LABEL(mica_monitor_code, SYM_L_GLOBAL, mica_monitor_code_end)

	.balign	8
SYM_DATA(mica_monitor_control_offset, .quad control - mica_monitor_code)
SYM_DATA(mica_monitor_frame_offset, .quad stack_top - FRAME - mica_monitor_code)
