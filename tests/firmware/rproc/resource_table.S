// SPDX-License-Identifier: Apache-2.0
// In assembly, since C has no constant of 32 bits for an address. Layout: resource_table.h.

#define RSC_TRACE	2
#define RSC_VDEV	3
#define VIRTIO_ID_RPMSG	7
#define RPMSG_F_NS	1		// announces its services by name
#define ANY_ADDRESS	0xffffffff	// Linux chooses
#define VRING_ALIGN	4
#define VRING_BUFFERS	8
#define TRACE_SIZE	4096

	.section .resource_table, "aw"
	.global	resource_table
resource_table:
	.4byte	1			// version
	.4byte	2			// entries
	.4byte	0, 0			// request, reserved
	.4byte	vdev - resource_table
	.4byte	trace - resource_table
vdev:
	.4byte	RSC_VDEV, VIRTIO_ID_RPMSG
	.4byte	0			// notify id
	.4byte	RPMSG_F_NS, 0		// offered features, accepted features
	.4byte	0			// length of a configuration
	.byte	0, 2, 0, 0		// status, vrings, reserved
	.4byte	ANY_ADDRESS, VRING_ALIGN, VRING_BUFFERS, 0, 0
	.4byte	ANY_ADDRESS, VRING_ALIGN, VRING_BUFFERS, 1, 0
trace:
	.4byte	RSC_TRACE, trace_buffer, TRACE_SIZE, 0
	.asciz	"trace"
	.balign	4
	.skip	32 - 8			// the name has 32 bytes

	.bss
	.balign	16
	.global	trace_buffer
trace_buffer:
	.skip	TRACE_SIZE
