// SPDX-License-Identifier: Apache-2.0
// Exception vectors of firmware that polls: every exception is a fault. Each entry loads its number, takes a fresh
// stack and reports.

	.macro	fault_entry number
	.balign	0x80
	mov	x0, #\number
	b	fault_entered
	.endm

	.section .text.vectors, "ax"
	.balign	0x800
	.global	vectors
vectors:
	.irp	number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	fault_entry \number
	.endr

fault_entered:
	ldr	x1, =__stack_top
	mov	sp, x1
	b	fault_handler
