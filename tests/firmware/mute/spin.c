// SPDX-License-Identifier: Apache-2.0
// Prints nothing and asks a device that never answers.
#include <stdint.h>

static volatile uint32_t status;

static _Noreturn __attribute__((noinline)) void poll_for_ever(void)
{
	while (!status)
		;
	__builtin_unreachable();
}

int main(void)
{
	poll_for_ever();
}
