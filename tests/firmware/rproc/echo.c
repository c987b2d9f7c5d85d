// SPDX-License-Identifier: Apache-2.0
// Firmware for a spare core that echoes what comes over rpmsg-tty. One source, several images: the linker sets the
// misbehaviour that an image shows.
#include <stdbool.h>

#include "console.h"
#include "exit_record.h"
#include "gic.h"
#include "io.h"
#include "power.h"
#include "psci_core.h"
#include "resource_table.h"
#include "rpmsg.h"
#include "tick.h"

#define LINUX_SGI 7u
#define PRIORITY  0xa0u
#define NO_INTERRUPT 1020u
#define TICKS_PER_SECOND 100u
#define SYSTEM_OFF 0x84000008u
#define NOWHERE	  0x0b000000ul // between the devices: a data abort

enum behaviour {
	ECHO = 0,
	DEAF = 1,  // ignores the request to stop
	FAULT = 2, // reads where nothing is, once the first message has come
	SPIN = 3,  // masks interrupts and loops, once the first message has come
	EXIT = 4,  // exits with status 7, once the first message has come
	SILENT = 5, // goes off without a record, once the first message has come
	CLOCK = 6, // answers with the number of timer interrupts it has had
	POWEROFF = 7, // switches the machine off, once the first message has come
	RUDE = 8, // sends the other cores every interrupt that Linux sends between them, at each message
};

// An absolute symbol of the linker's: its address is the value.
extern const char behaviour[];
extern const char vectors[];

static uint32_t ticks;

static bool behaves(enum behaviour which)
{
	return (uintptr_t)behaviour == which;
}

// Sleeps until Linux interrupts. Interrupts stay masked: a pending one ends WFI, and is acknowledged here.
static void wait_for_linux(void)
{
	uint64_t intid;

	wfi();
	intid = read_sysreg(s3_0_c12_c12_0); // ICC_IAR1_EL1
	if (intid >= NO_INTERRUPT)
		return;
	if (intid == TIMER_INTID) {
		ticks++;
		timer_rearm();
	}
	write_sysreg(s3_0_c12_c12_1, intid); // ICC_EOIR1_EL1
	isb();
}

// Writes the number of ticks as a line into the message, in place of what it holds.
static void answer_ticks(struct message *message)
{
	uint32_t value = ticks;
	size_t i = RPMSG_MAX_PAYLOAD;
	uint8_t *payload = message->payload;

	payload[--i] = '\n';
	do {
		payload[--i] = (uint8_t)('0' + value % 10);
		value /= 10;
	} while (value);
	message->len = RPMSG_MAX_PAYLOAD - i;
	for (size_t to = 0; to < message->len; to++)
		payload[to] = payload[i + to];
}

// Ends like firmware that fails in the middle of an interrupt: Linux's stays active in the redistributor.
static void leave_interrupt_active(void)
{
	uint64_t self = 1ul << (read_sysreg(mpidr_el1) & 0xf);

	write_sysreg(s3_0_c12_c11_5, self | (uint64_t)LINUX_SGI << 24); // ICC_SGI1R_EL1
	isb();
	while (read_sysreg(s3_0_c12_c12_0) != LINUX_SGI)
		;
}

static void interrupt_others(void)
{
	for (uint64_t sgi = 0; sgi < 16; sgi++) {
		if (sgi != LINUX_SGI)
			write_sysreg(s3_0_c12_c11_5, 1ul << 40 | sgi << 24); // ICC_SGI1R_EL1, all but this core
		write_sysreg(s3_0_c12_c11_5, 7ul | sgi << 24);
	}
	isb();
}

static void misbehave(void)
{
	if (behaves(RUDE))
		interrupt_others();
	if (behaves(FAULT))
		(void)read32(NOWHERE);
	if (behaves(EXIT)) {
		leave_interrupt_active();
		exit_firmware(EXIT_NORMAL, 7);
	}
	if (behaves(SILENT))
		power_off();
	if (behaves(POWEROFF))
		psci_call(SYSTEM_OFF);
	while (behaves(SPIN))
		;
}

static void serve(void)
{
	static struct message message;

	while (rpmsg_receive(&message)) {
		misbehave();
		if (behaves(CLOCK))
			answer_ticks(&message);
		while (!rpmsg_send(message.destination, message.source, message.payload, message.len))
			wait_for_linux();
	}
}

int main(void)
{
	write_sysreg(vbar_el1, (uintptr_t)vectors);
	isb();
	gic_init_core();
	gic_enable(LINUX_SGI, PRIORITY);
	if (behaves(CLOCK)) {
		gic_enable(TIMER_INTID, PRIORITY);
		timer_start(TICKS_PER_SECOND);
	}
	console_printf("echo: waiting for Linux\n");

	// Linux interrupts when it has set the request, and again when the vrings are there.
	while (resource_table.request != REQUEST_RUN || !rpmsg_ready())
		if (resource_table.request == REQUEST_STOP)
			power_off();
	rpmsg_open("rpmsg-tty");
	console_printf("echo: open\n");
	for (;;) {
		serve();
		if (resource_table.request == REQUEST_STOP && !behaves(DEAF))
			power_off();
		wait_for_linux();
	}
}
