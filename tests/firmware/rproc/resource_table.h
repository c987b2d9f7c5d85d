// SPDX-License-Identifier: Apache-2.0
// What the firmware asks Linux for: one rpmsg device with two vrings, and a trace buffer that debugfs shows.
// Layout: include/linux/remoteproc.h of Linux.
#ifndef RESOURCE_TABLE_H
#define RESOURCE_TABLE_H

#include <stdint.h>

#define TRACE_SIZE 4096u

struct vring_resource {
	uint32_t da; // filled in by Linux
	uint32_t align;
	uint32_t num;
	uint32_t notifyid;
	uint32_t pa;
};

struct vdev_resource {
	uint32_t type;
	uint32_t id;
	uint32_t notifyid;
	uint32_t dfeatures;
	uint32_t gfeatures;
	uint32_t config_len;
	uint8_t status; // virtio's device status, written by Linux
	uint8_t num_of_vrings;
	uint8_t reserved[2];
	struct vring_resource vring[2];
};

struct trace_resource {
	uint32_t type;
	uint32_t da;
	uint32_t len;
	uint32_t reserved;
	char name[32];
};

struct resource_table {
	uint32_t version;
	uint32_t num;
	uint32_t request; // reserved[0]: what Linux wants, in MICA's convention
	uint32_t reserved;
	uint32_t offset[2];
	struct vdev_resource vdev;
	struct trace_resource trace;
};

// In MICA's convention: numbers of PSCI functions.
#define REQUEST_RUN  0xc4000003u
#define REQUEST_STOP 0x84000002u

extern volatile struct resource_table resource_table;
extern char trace_buffer[TRACE_SIZE];

#endif
