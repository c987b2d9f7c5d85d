// SPDX-License-Identifier: Apache-2.0
// Entry in machine mode: a0 has the number of the hart, a1 the address of the device tree. Leaves it on its own stack with
// .bss zeroed and every interrupt masked, then calls main. FreeRTOS takes this stack for interrupts afterwards.

	.section .text.start, "ax"
	.global	_start
	.type	_start, @function
_start:
	csrci	mstatus, 8
	csrw	mie, zero
	la	sp, __freertos_irq_stack_top
	la	t0, __bss_start
	la	t1, __bss_end
1:	bgeu	t0, t1, 2f
	sw	zero, 0(t0)
	addi	t0, t0, 4
	j	1b
2:	la	t0, devicetree_blob
#if __riscv_xlen == 64
	sd	a1, 0(t0)
#else
	sw	a1, 0(t0)
#endif
	call	main
	j	.

	.size	_start, . - _start
