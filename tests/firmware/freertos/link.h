// SPDX-License-Identifier: Apache-2.0
// The link to Linux: its requests, and the task that moves messages between rpmsg and the terminals.
#ifndef LINK_H
#define LINK_H

#include <FreeRTOS.h>

// Waits until Linux has told this core to run; switches it off if told to stop.
void link_wait_for_request(void);

// Creates the task. Its priority must be below that of the shells: what a shell prints in one go then leaves in one
// message, and no shell runs while a message is half sent, unless a tick has woken it.
void link_start(UBaseType_t priority);

// There is output to send, or room for input.
void link_wake(void);

#endif
