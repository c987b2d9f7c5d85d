// SPDX-License-Identifier: Apache-2.0
#include <FreeRTOS.h>
#include <stdbool.h>
#include <task.h>

#include "board.h"
#include "console.h"
#include "devicetree.h"
#include "exit_record.h"
#include "io.h"
#include "jitter.h"
#include "shell.h"
#include "timer.h"

#define MAX_TASKS 8
#define MAX_LINES 4294967295ul

// A message and a limit that tell the two demos of the warm patch apart. Both take the same room, in the code too: the
// limit is the operand of one instruction, as parse_number is one function for all.
#ifdef PATCHED
#define DEMO "patched-one"
#define MAX_STATUS 99
#define MAX_STATUS_TEXT " 99"
#else
#define DEMO "micrun-demo"
#define MAX_STATUS 255
#define MAX_STATUS_TEXT "255"
#endif

__attribute__((noipa)) bool parse_number(const char *text, unsigned long max, unsigned long *number)
{
	unsigned long value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned long digit = (unsigned long)(*text - '0');

		if (digit > 9 || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*number = value;
	return true;
}

static void help(const char *arguments)
{
	(void)arguments;
	for (const struct command *c = commands; c->name; c++)
		console_printf("%-6s %-7s %s\n", c->name, c->arguments, c->help);
}

static void uname(const char *arguments)
{
	(void)arguments;
	console_printf("FreeRTOS " tskKERNEL_VERSION_NUMBER " " DEMO " " BOARD_ARCH "\n");
}

static void uptime(const char *arguments)
{
	uint64_t counter = timer_counter();
	uint64_t frequency = timer_frequency();

	(void)arguments;
	console_printf("up %lu.%03lu s, %lu ticks of %lu ms\n", (unsigned long)(counter / frequency),
		       (unsigned long)(counter % frequency * 1000 / frequency), (unsigned long)xTaskGetTickCount(),
		       (unsigned long)portTICK_PERIOD_MS);
}

static void echo(const char *arguments)
{
	console_printf("%s\n", arguments);
}

static void ps(const char *arguments)
{
	static const char *const states[] = { "running", "ready", "blocked", "suspended", "deleted", "invalid" };
	TaskStatus_t tasks[MAX_TASKS];
	uint64_t total;
	UBaseType_t count = uxTaskGetSystemState(tasks, MAX_TASKS, &total);

	(void)arguments;
	console_printf("ID STATE     PRIO STACK-FREE  TIME-MS NAME\n");
	for (UBaseType_t i = 0; i < count; i++)
		console_printf("%2lu %-9s %4lu %10lu %8lu %s\n", tasks[i].xTaskNumber, states[tasks[i].eCurrentState],
			       tasks[i].uxCurrentPriority,
			       (unsigned long)(tasks[i].usStackHighWaterMark * sizeof(StackType_t)),
			       (unsigned long)(tasks[i].ulRunTimeCounter * 1000 / timer_frequency()), tasks[i].pcTaskName);
}

static void exit_command(const char *arguments)
{
	unsigned long status = 0;

	if (*arguments && !parse_number(arguments, MAX_STATUS, &status)) {
		console_printf("exit: \"%s\" is not a status; give a number from 0 to " MAX_STATUS_TEXT "\n", arguments);
		return;
	}
	console_flush();
	exit_firmware(EXIT_NORMAL, (uint32_t)status);
}

static void crash(const char *arguments)
{
	(void)arguments;
	console_printf("writing to address %lx, where nothing is\n", UNMAPPED_ADDRESS);
	write32(UNMAPPED_ADDRESS, 0);
	console_printf("crash: the write did not fault\n");
}

static void spin(const char *arguments)
{
	(void)arguments;
	console_printf("spinning with interrupts masked\n");
	console_flush();
	mask_interrupts();
	for (;;)
		;
}

static void flood(const char *arguments)
{
	unsigned long lines;

	if (!parse_number(arguments, MAX_LINES, &lines)) {
		console_printf("flood: \"%s\" is not a count; give a number of lines\n", arguments);
		return;
	}
	for (unsigned long line = 1; line <= lines; line++)
		console_printf("flood %010lu the quick brown fox jumps over the lazy dog\n", line);
}

#ifndef SPARE_CORE
#define MIB		(1ul << 20)
#define PAGE		4096ul

static void hoard(const char *arguments)
{
	unsigned long mebibytes;

	if (!parse_number(arguments, HOARD_MAX, &mebibytes)) {
		console_printf("hoard: \"%s\" is not a size; give a number up to %lu\n", arguments, HOARD_MAX);
		return;
	}
	for (unsigned long at = 0; at < mebibytes * MIB; at += PAGE)
		write32(HOARD_START + at, 1);
	console_printf("touched %lu MiB\n", mebibytes);
}
#endif

#if !defined(SPARE_CORE) && HAS_DEVICETREE
static void bootargs(const char *arguments)
{
	(void)arguments;
	console_printf("%s\n", devicetree_bootargs());
}
#endif

const struct command commands[] = {
	{ "help", "", "list the commands", help },
	{ "uname", "", "name the system", uname },
	{ "uptime", "", "show the time since the machine started", uptime },
	{ "echo", "TEXT", "print TEXT", echo },
	{ "ps", "", "list the tasks", ps },
	{ "exit", "[N]", "power off with exit status N (0 if missing)", exit_command },
	{ "crash", "", "write to an address where nothing is", crash },
	{ "spin", "", "mask interrupts and loop for ever", spin },
	{ "flood", "N", "print N numbered lines as fast as possible", flood },
#ifndef SPARE_CORE
	{ "hoard", "N", "touch N MiB of memory", hoard },
#if HAS_DEVICETREE
	{ "args", "", "print the kernel command line", bootargs },
#endif
#else
	{ "jitter", "[N]", "measure how late a task wakes up in N ticks (100 if missing)", jitter },
#endif
	{ 0 },
};
