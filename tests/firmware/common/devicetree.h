// SPDX-License-Identifier: Apache-2.0
// The device tree that QEMU gives the virt machines.
#ifndef DEVICETREE_H
#define DEVICETREE_H

#include <stdbool.h>
#include <stdint.h>

// Where it is; set by the processor's folder.
extern const uint8_t *devicetree_blob;

// Whether it has a node with this name, as "pl011@9040000". False if there is no tree.
bool devicetree_has_node(const char *name);

// The kernel command line: `bootargs` of the node `chosen`. Empty if there is none.
const char *devicetree_bootargs(void);

#endif
