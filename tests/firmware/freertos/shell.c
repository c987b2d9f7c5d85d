// SPDX-License-Identifier: Apache-2.0
// The line editor and the dispatch of commands, on whatever console is linked.
#include "shell.h"

#include <FreeRTOS.h>
#include <stdbool.h>
#include <string.h>
#include <task.h>

#include "board.h"
#include "console.h"

#define GREETING	"micrun FreeRTOS demo\n" \
			"FreeRTOS " tskKERNEL_VERSION_NUMBER ", " BOARD_ARCH "; help lists the commands\n"
#define PROMPT		"micrun> "
#define LINE_MAX	256
#define STATUS_WORD	"micrun-exit: "
#define STATUS_UNKNOWN	127
#define STATUS_TOO_LONG	2
#define BACKSPACE	0x08
#define DELETE		0x7f

struct shell {
	char line[LINE_MAX + 1];
	bool after_cr; // was the last byte of the line before
};

static bool is_continuation(char c)
{
	return (c & 0xc0) == 0x80;
}

// Takes back the last character, which may be several bytes of UTF-8.
static size_t erase(const char *line, size_t len)
{
	if (len == 0)
		return 0;
	do
		len--;
	while (len > 0 && is_continuation(line[len]));
	console_write("\b \b", 3);
	return len;
}

// Reads a line and echoes it. CR, LF and CR LF each end a line. False if it was longer than the buffer.
static bool read_line(struct shell *shell)
{
	char *line = shell->line;
	size_t len = 0;
	bool fits = true;

	for (;;) {
		char c = (char)console_get();
		bool second_of_pair = c == '\n' && shell->after_cr;

		shell->after_cr = c == '\r';
		if (second_of_pair)
			continue;
		if (c == '\r' || c == '\n')
			break;
		if (c == BACKSPACE || c == DELETE) {
			len = erase(line, len);
		} else if ((unsigned char)c >= ' ') {
			fits = fits && len < LINE_MAX;
			if (!fits)
				continue;
			line[len++] = c;
			console_write(&c, 1);
		}
	}
	console_write("\n", 1);
	line[len] = '\0';
	return fits;
}

static char *trim(char *text)
{
	size_t len;

	while (*text == ' ')
		text++;
	len = strlen(text);
	while (len > 0 && text[len - 1] == ' ')
		len--;
	text[len] = '\0';
	return text;
}

// Gives the status of the command, as sh(1) would.
static int run_line(char *line)
{
	char *name = trim(line);
	char *arguments = name;

	if (!*name)
		return 0;
	while (*arguments && *arguments != ' ')
		arguments++;
	if (*arguments)
		*arguments++ = '\0';
	arguments = trim(arguments);

	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, name) == 0) {
			c->run(arguments);
			return 0;
		}
	}
	console_printf("%s: no such command; help lists them\n", name);
	return STATUS_UNKNOWN;
}

_Noreturn void shell_task(void *kind)
{
	struct shell shell = { 0 };

	console_printf(GREETING);
	for (;;) {
		int status = STATUS_TOO_LONG;

		console_printf(PROMPT);
		if (read_line(&shell))
			status = run_line(shell.line);
		else
			console_printf("The line is longer than %lu bytes and was not run.\n", (unsigned long)LINE_MAX);
		if (status && kind == SHELL_FOR_COMMANDS)
			console_printf(STATUS_WORD "%lu\n", (unsigned long)status);
	}
}
