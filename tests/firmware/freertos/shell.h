// SPDX-License-Identifier: Apache-2.0
#ifndef SHELL_H
#define SHELL_H

struct command {
	const char *name;
	const char *arguments;
	const char *help;
	// Gets the rest of the line behind the name, without blanks around it.
	void (*run)(const char *arguments);
};

// In commands.c; ends with an entry without a name.
extern const struct command commands[];

// Reads and runs commands for ever.
_Noreturn void shell_run(void);

#endif
