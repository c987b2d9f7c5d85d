// SPDX-License-Identifier: Apache-2.0
// QEMU's virt machine with a RISC-V processor of 64 or 32 bits, without OpenSBI: what the shared code has to know of it.
#ifndef BOARD_H
#define BOARD_H

#if __riscv_xlen == 64
#define BOARD_ARCH	"riscv64"
#else
#define BOARD_ARCH	"riscv32"
#endif

// A 16550 port.
#define UARTS		1
#define UART_FIRST	0x10000000ul
#define UART_FIRST_IRQ	10

// The core's timer.
#define MTIME		0x0200bff8ul
#define MTIMECMP	0x02004000ul
#define MTIME_HZ	10000000u

// A hole in the memory map, between the RTC and the core's timer.
#define UNMAPPED_ADDRESS 0x00200000ul

// Of 64 MiB of RAM the image has the first few, and the device tree the last.
#define HOARD_START	0x80800000ul
#define HOARD_MAX	48ul // in MiB

#define HAS_DEVICETREE	1

#endif
