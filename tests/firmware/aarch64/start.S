// SPDX-License-Identifier: Apache-2.0
// Entry: EL1 or EL2, MMU off, one core. Leaves the core at EL1 on its own stack with .bss zeroed and
// every interrupt masked, then calls main. The stack is SP_EL1: FreeRTOS runs tasks on SP_EL0 and
// takes interrupts on this one.

#define SCTLR_EL1_RES1	0x30d00800	// MMU and caches off, little endian
#define HCR_EL2_RW	(1 << 31)	// EL1 is AArch64
#define SPSR_EL1H	0x3c5		// EL1, own stack pointer, DAIF masked

	.section .text.start, "ax"
	.global	_start
	.type	_start, %function
_start:
	msr	daifset, #0xf
	ldr	x0, =SCTLR_EL1_RES1
	msr	sctlr_el1, x0
	isb
	mrs	x19, CurrentEL
	lsr	x19, x19, #2
	cmp	x19, #2
	b.ne	at_el1

	mov	x0, #HCR_EL2_RW
	msr	hcr_el2, x0
	mov	x0, #3			// EL1 may use the physical counter and timer
	msr	cnthctl_el2, x0
	msr	cntvoff_el2, xzr
	mrs	x0, midr_el1
	msr	vpidr_el2, x0
	mrs	x0, mpidr_el1
	msr	vmpidr_el2, x0
	mrs	x0, id_aa64pfr0_el1
	ubfx	x0, x0, #24, #4		// the GIC field: 0 is a core without the GICv3 registers
	cbz	x0, 1f
	mov	x0, #0xf		// EL1 may use the GIC's system registers
	msr	s3_4_c12_c9_5, x0	// ICC_SRE_EL2
	isb
1:	mov	x0, #SPSR_EL1H
	msr	spsr_el2, x0
	adr	x0, at_el1
	msr	elr_el2, x0
	eret

at_el1:
	msr	spsel, #1
	ldr	x0, =__stack_top
	mov	sp, x0
	ldr	x0, =__bss_start
	ldr	x1, =__bss_end
2:	cmp	x0, x1
	b.hs	3f
	stp	xzr, xzr, [x0], #16
	b	2b
3:	ldr	x0, =boot_el
	str	w19, [x0]
	bl	main
	b	.

	.size	_start, . - _start
