/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <zephyr/kernel.h>
#include <zephyr/shell/shell.h>

#include <micrun/exit.h>

/* Time for the serial port to send what the shell has printed. */
#define DRAIN K_MSEC(20)

static int cmd_exit(const struct shell *shell, size_t argc, char **argv)
{
	ARG_UNUSED(shell);
	k_sleep(DRAIN);
	micrun_exit(argc > 1 ? atoi(argv[1]) : 0);
}

SHELL_CMD_ARG_REGISTER(exit, NULL, "End the firmware: exit [STATUS]", cmd_exit, 1, 1);
