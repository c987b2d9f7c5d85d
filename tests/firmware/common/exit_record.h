// SPDX-License-Identifier: Apache-2.0
// Tells the host how the firmware ended; see docs/FIRMWARE.md, "Exit status".
#ifndef EXIT_RECORD_H
#define EXIT_RECORD_H

#include <stdint.h>

enum exit_kind {
	EXIT_NORMAL = 0, // the status is the firmware's own, 0 to 255
	EXIT_FAULT = 1,	 // an exception or a panic; the status is one of the following
};

enum fault_status {
	FAULT_UNDEFINED = 132, // 128 + SIGILL
	FAULT_PANIC = 134,     // 128 + SIGABRT
	FAULT_MEMORY = 139,    // 128 + SIGSEGV
};

// Fills in the exit record and powers the machine off. Console output must have left already.
_Noreturn void exit_firmware(enum exit_kind kind, uint32_t status);

// Shows a watchdog of the host's that the firmware lives.
void beat(void);

#endif
