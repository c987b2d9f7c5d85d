// SPDX-License-Identifier: Apache-2.0
// The exception vectors. FreeRTOS runs tasks at EL1 on SP_EL0: a task's yield (SVC) and the interrupts go
// to the port, everything else to fault_handler.

#define CLASS_SHIFT	26
#define CLASS_SVC	0x15

	.macro	fault number
	.balign	0x80
	ldr	x1, =__stack_top	// the interrupted stack may be what is broken
	mov	sp, x1
	mov	x0, #\number
	b	fault_handler
	.endm

	.macro	vector handler
	.balign	0x80
	b	\handler
	.endm

	.text
	.balign	0x800
	.global	_freertos_vector_table	// the port's name: it writes VBAR_EL1
_freertos_vector_table:
	vector	task_synchronous	// from a task (SP_EL0)
	vector	FreeRTOS_IRQ_Handler
	fault	2
	fault	3
	fault	4			// from an interrupt handler or main (SP_EL1)
	vector	FreeRTOS_IRQ_Handler
	fault	6
	fault	7
	fault	8			// from EL0, AArch64: unused
	fault	9
	fault	10
	fault	11
	fault	12			// from EL0, AArch32: unused
	fault	13
	fault	14
	fault	15

	.balign	0x80
task_synchronous:
	stp	x0, x1, [sp, #-16]!
	mrs	x0, esr_el1
	lsr	x0, x0, #CLASS_SHIFT
	cmp	x0, #CLASS_SVC
	ldp	x0, x1, [sp], #16
	b.eq	FreeRTOS_SWI_Handler
	fault	0
