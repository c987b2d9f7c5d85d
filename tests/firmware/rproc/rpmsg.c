// SPDX-License-Identifier: Apache-2.0
#include "rpmsg.h"

#include "io.h"
#include "resource_table.h"
#include "vring.h"

#define NAME_SERVICE   53u
#define FIRST_ADDRESS  0x400u
#define NAME_SIZE      32u
#define FIRST_PPI      16u // below are the software generated interrupts
#define STATUS_DRIVER_OK 4u

struct rpmsg_header {
	uint32_t source;
	uint32_t destination;
	uint32_t reserved;
	uint16_t len;
	uint16_t flags;
};

struct announcement {
	char name[NAME_SIZE];
	uint32_t address;
	uint32_t flags; // 0: the service is there
};

struct endpoint {
	const char *name;
	uint32_t peer;
};

static struct vring to_linux;
static struct vring from_linux;
static struct endpoint endpoints[RPMSG_ENDPOINTS];
static uint32_t opened;

// Linux requests this interrupt; which one is a matter of configuration on both sides.
extern const char doorbell_intid[];

// Makes an interrupt of the distributor pending, by its register GICD_ISPENDR. A software generated one goes to the
// machine's first core, as MICA firmware sends it.
static void ring_doorbell(void)
{
	uintptr_t intid = (uintptr_t)doorbell_intid;

	dsb();
	if (intid < FIRST_PPI)
		write_sysreg(s3_0_c12_c11_5, 1ul | intid << 24); // ICC_SGI1R_EL1
	else
		write32(0x08000200u + 4 * (intid / 32), 1u << intid % 32);
}

static struct endpoint *endpoint_at(uint32_t address)
{
	return address - FIRST_ADDRESS < opened ? &endpoints[address - FIRST_ADDRESS] : NULL;
}

static bool same_name(const char *name, volatile const char *announced)
{
	for (size_t i = 0; i < NAME_SIZE; i++) {
		if (name[i] != announced[i])
			return false;
		if (!name[i])
			return true;
	}
	return true;
}

// Linux answers an announcement with one of its own, which tells where the other end is.
static void learn_peer(volatile const struct announcement *announced, size_t len)
{
	if (len < sizeof(*announced) || announced->flags)
		return;
	for (uint32_t i = 0; i < opened; i++)
		if (!endpoints[i].peer && same_name(endpoints[i].name, announced->name))
			endpoints[i].peer = announced->address;
}

uint32_t rpmsg_peer(uint32_t address)
{
	const struct endpoint *endpoint = endpoint_at(address);

	return endpoint ? endpoint->peer : 0;
}

void rpmsg_set_peer(uint32_t address, uint32_t peer)
{
	struct endpoint *endpoint = endpoint_at(address);

	if (endpoint)
		endpoint->peer = peer;
}

bool rpmsg_ready(void)
{
	return resource_table.vdev.status & STATUS_DRIVER_OK;
}

static void init_vring(struct vring *vring, unsigned int i)
{
	volatile struct vring_resource *resource = &resource_table.vdev.vring[i];

	vring_init(vring, resource->da, (uint16_t)resource->num, resource->align);
}

uint32_t rpmsg_open(const char *name)
{
	struct announcement announcement = { .address = FIRST_ADDRESS + opened };

	for (size_t i = 0; i < NAME_SIZE - 1 && name[i]; i++)
		announcement.name[i] = name[i];
	if (opened == 0) {
		init_vring(&to_linux, 0);
		init_vring(&from_linux, 1);
	}
	endpoints[opened++].name = name;
	while (!rpmsg_send(announcement.address, NAME_SERVICE, (const uint8_t *)&announcement, sizeof(announcement)))
		;
	return announcement.address;
}

bool rpmsg_receive(struct message *message)
{
	volatile struct rpmsg_header *header;
	struct buffer buffer;

	do {
		if (!vring_take(&from_linux, &buffer))
			return false;
		header = (volatile void *)buffer.data;
		message->source = header->source;
		message->destination = header->destination;
		message->len = header->len < RPMSG_MAX_PAYLOAD ? header->len : RPMSG_MAX_PAYLOAD;
		for (size_t i = 0; i < message->len; i++)
			message->payload[i] = buffer.data[sizeof(*header) + i];
		if (message->destination == NAME_SERVICE)
			learn_peer((volatile const void *)(buffer.data + sizeof(*header)), message->len);
		rpmsg_set_peer(message->destination, message->source);
		vring_give(&from_linux, &buffer, 0);
		ring_doorbell();
	} while (!endpoint_at(message->destination));
	return true;
}

bool rpmsg_send(uint32_t from, uint32_t to, const uint8_t *payload, size_t len)
{
	volatile struct rpmsg_header *header;
	struct buffer buffer;

	if (!vring_take(&to_linux, &buffer))
		return false;
	header = (volatile void *)buffer.data;
	header->source = from;
	header->destination = to;
	header->reserved = 0;
	header->len = (uint16_t)len;
	header->flags = 0;
	for (size_t i = 0; i < len; i++)
		buffer.data[sizeof(*header) + i] = payload[i];
	vring_give(&to_linux, &buffer, (uint32_t)(sizeof(*header) + len));
	ring_doorbell();
	return true;
}

bool rpmsg_all_taken(void)
{
	return vring_all_available(&to_linux);
}
