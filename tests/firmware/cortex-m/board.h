// SPDX-License-Identifier: Apache-2.0
// QEMU's mps2-an385, a Cortex-M3: what the shared code has to know of it. Addresses: Arm DAI 0385, "Memory map".
#ifndef BOARD_H
#define BOARD_H

#define BOARD_ARCH	"armv7m"

#define BOARD_CLOCK_HZ	25000000u

// CMSDK ports; each has an interrupt for what it receives and one for what it sends.
#define UARTS		2
#define UART_FIRST	0x40004000ul
#define UART_FIRST_IRQ	0
#define UART_SECOND	0x40005000ul
#define UART_SECOND_IRQ	2

// A hole in the memory map, between the PSRAM and the peripherals.
#define UNMAPPED_ADDRESS 0x30000000ul

// The PSRAM, which the image does not use.
#define HOARD_START	0x21000000ul
#define HOARD_MAX	16ul // in MiB

#define HAS_DEVICETREE	0

#endif
