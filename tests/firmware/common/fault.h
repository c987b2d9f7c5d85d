// SPDX-License-Identifier: Apache-2.0
// What happens when the firmware cannot go on: a report on the console, the exit record, power off.
#ifndef FAULT_H
#define FAULT_H

// Called by the exception vectors with the number of the vector, on a fresh stack.
_Noreturn void fault_handler(unsigned long vector);

_Noreturn void panic_at(const char *file, unsigned long line, const char *reason);

#define panic(reason) panic_at(__FILE__, __LINE__, reason)

#endif
