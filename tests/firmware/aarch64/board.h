// SPDX-License-Identifier: Apache-2.0
// QEMU's virt machine with a Cortex-A53: what the shared code has to know of it.
#ifndef BOARD_H
#define BOARD_H

#define BOARD_ARCH	"aarch64"

// PL011 ports. The second is there only if the machine was given two (QEMU 9.1 and later).
#define UARTS		2
#define UART_FIRST	0x09000000ul
#define UART_FIRST_IRQ	33 // INTID of SPI 1
#define UART_SECOND	0x09040000ul
#define UART_SECOND_IRQ	40 // INTID of SPI 8

// PL061 port, whose pin 3 is the power button.
#define BUTTON_PORT	0x09030000ul
#define BUTTON_IRQ	39 // INTID of SPI 7
#define BUTTON_PIN	(1u << 3)

// A hole in the memory map, which has only RAM from 1 GiB to 256 GiB.
#define UNMAPPED_ADDRESS 0x3000000000ul

// Of 64 MiB of RAM the image and the device tree have the first few.
#define HOARD_START	0x40800000ul
#define HOARD_MAX	48ul // in MiB

#define HAS_DEVICETREE	1

#endif
