// SPDX-License-Identifier: Apache-2.0
// Prints nothing and faults before it has exception vectors: on aarch64 the next one is at 0x200, where there is no code.

int main(void)
{
	__asm volatile("udf #0");
	__builtin_unreachable();
}
