// SPDX-License-Identifier: Apache-2.0
#ifndef SHELL_H
#define SHELL_H

#include <stdbool.h>

struct command {
	const char *name;
	const char *arguments;
	const char *help;
	// Gets the rest of the line behind the name, without blanks around it.
	void (*run)(const char *arguments);
};

// Reads a decimal number no greater than max; false if the text is none.
bool parse_number(const char *text, unsigned long max, unsigned long *number);

// In commands.c; ends with an entry without a name.
extern const struct command commands[];

#define SHELL_STACK_WORDS 1024

// The parameter of a shell for commands of programs (docs/FIRMWARE.md, Shell): it tells a command's status, too.
#define SHELL_FOR_COMMANDS ((void *)1)

// A task that greets, then reads and runs commands for ever, on the console of its own.
_Noreturn void shell_task(void *kind);

#endif
