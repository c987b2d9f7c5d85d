/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POWER_OFF_H
#define POWER_OFF_H

#include <zephyr/toolchain.h>

/* Ends the machine. */
FUNC_NORETURN void power_off(void);

#endif
