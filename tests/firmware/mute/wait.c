// SPDX-License-Identifier: Apache-2.0
// Prints nothing and waits for interrupts that never come: firmware for another board, as far as anybody can see.

static _Noreturn __attribute__((noinline)) void wait_for_ever(void)
{
	for (;;)
		__asm volatile("wfi");
}

int main(void)
{
	wait_for_ever();
}
