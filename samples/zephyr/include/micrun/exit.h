/* SPDX-License-Identifier: Apache-2.0 */
/* How the firmware ends; docs/FIRMWARE.md of micrun, "Exit status". */
#ifndef MICRUN_EXIT_H
#define MICRUN_EXIT_H

#include <zephyr/toolchain.h>

/* Ends the firmware. The container's exit status is the low 8 bits. Output must have left the serial port. */
FUNC_NORETURN void micrun_exit(int status);

#endif
