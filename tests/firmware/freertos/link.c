// SPDX-License-Identifier: Apache-2.0
#include "link.h"

#include <task.h>

#include "io.h"
#include "irq.h"
#include "power.h"
#include "resource_table.h"
#include "rpmsg.h"
#include "terminal.h"

#define LINUX_SGI	7u    // with which Linux interrupts MICA firmware
#define INTID_SPURIOUS	1020u // and up
#define STACK_WORDS	512

// An absolute symbol of the linker's: its address is the value.
extern const char console_peer[];

static TaskHandle_t link;

static void obey_stop(void)
{
	if (resource_table.request == REQUEST_STOP)
		power_off();
}

static void linux_calls(void)
{
	BaseType_t woken = pdFALSE;

	obey_stop();
	vTaskNotifyGiveFromISR(link, &woken);
	portYIELD_FROM_ISR(woken);
}

// Interrupts are still masked: a pending one ends WFI, and is acknowledged here.
void link_wait_for_request(void)
{
	irq_enable(LINUX_SGI, linux_calls);
	while (resource_table.request != REQUEST_RUN) {
		uint64_t intid;

		obey_stop();
		wfi();
		intid = read_sysreg(s3_0_c12_c12_0); // ICC_IAR1_EL1
		if (intid < INTID_SPURIOUS)
			write_sysreg(s3_0_c12_c12_1, intid); // ICC_EOIR1_EL1
		isb();
	}
}

static struct terminal *terminal_at(uint32_t address)
{
	for (unsigned int i = 0; i < TERMINALS; i++)
		if (terminals[i].address == address)
			return &terminals[i];
	return NULL;
}

// Moves a message, or as much of it as its terminal has room for: the rest, and all messages behind it, wait for the
// shell. False if nothing could be moved.
static bool move_input(void)
{
	static struct message message;
	static struct terminal *to; // NULL: the next message is due
	static size_t moved;
	size_t len;

	if (!to) {
		if (!rpmsg_receive(&message))
			return false;
		to = terminal_at(message.destination);
		if (!to)
			return true;
		moved = 0;
	}
	len = ring_put(&to->input, message.payload + moved, message.len - moved);
	moved += len;
	if (len)
		xTaskNotifyGive(to->shell);
	if (moved < message.len)
		return len != 0;
	to = NULL;
	return true;
}

static bool move_output(void)
{
	bool any = false;

	for (unsigned int i = 0; i < TERMINALS; i++) {
		if (terminal_send(&terminals[i])) {
			xTaskNotifyGive(terminals[i].shell);
			any = true;
		}
	}
	return any;
}

static void link_task(void *unused)
{
	(void)unused;
	while (!rpmsg_ready())
		ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
	for (unsigned int i = 0; i < TERMINALS; i++)
		terminals[i].address = rpmsg_open(terminals[i].name);
	// Linux has bound what it has a driver for by the time it has taken the announcements.
	while (!rpmsg_all_taken())
		ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
	rpmsg_set_peer(terminals[0].address, (uint32_t)(uintptr_t)console_peer);
	for (;;) {
		bool in = move_input();
		bool out = move_output();

		if (!in && !out)
			ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
	}
}

void link_start(UBaseType_t priority)
{
	static StaticTask_t task;
	static StackType_t stack[STACK_WORDS];

	link = xTaskCreateStatic(link_task, "link", STACK_WORDS, NULL, priority, stack, &task);
}

void link_wake(void)
{
	xTaskNotifyGive(link);
}
