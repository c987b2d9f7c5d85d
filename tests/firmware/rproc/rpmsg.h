// SPDX-License-Identifier: Apache-2.0
// rpmsg from the remote side. Wire format: Documentation/staging/rpmsg.rst of Linux.
#ifndef RPMSG_H
#define RPMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPMSG_MAX_PAYLOAD 496u // of a buffer of 512 bytes
#define RPMSG_ENDPOINTS	  4u

struct message {
	uint32_t source;      // where an answer goes
	uint32_t destination; // one of our endpoints
	size_t len;
	uint8_t payload[RPMSG_MAX_PAYLOAD];
};

// True once Linux has set up the vrings.
bool rpmsg_ready(void);

// Opens an endpoint under a name, which Linux turns into a channel. Returns its address. At most RPMSG_ENDPOINTS.
uint32_t rpmsg_open(const char *name);

// Linux's end of an endpoint's channel: who sent the last message, or who has announced itself under the same name. 0 if
// nobody has.
uint32_t rpmsg_peer(uint32_t address);

// Assumes Linux's end before it has told.
void rpmsg_set_peer(uint32_t address, uint32_t peer);

// Takes a message for one of the endpoints; false if there is none.
bool rpmsg_receive(struct message *message);

// Sends from an endpoint to an address of Linux. False if Linux has left no buffer: try again after its next interrupt.
bool rpmsg_send(uint32_t from, uint32_t to, const uint8_t *payload, size_t len);

// True if Linux has taken all that was sent.
bool rpmsg_all_taken(void);

#endif
