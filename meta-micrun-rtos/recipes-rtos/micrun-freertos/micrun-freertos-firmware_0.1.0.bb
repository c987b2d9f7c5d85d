SUMMARY = "FreeRTOS shell for a processor without Linux"
DESCRIPTION = "The demo firmware for a Cortex-M3. It is built in a multiconfig of its own, micrun-rtos, by a compiler for bare metal."
SECTION = "containers"
LICENSE = "Apache-2.0 & MIT"

MICRUN_FILES = "tests/firmware/cortex-m"
# nooelint: oelint.file.requirenotfound - it is in the layer micrun
require recipes-containers/micrun-demo/micrun-firmware.inc

CVE_PRODUCT = "micrun:freertos-firmware"

COMPATIBLE_HOST = "null"
COMPATIBLE_HOST:libc-baremetal = "arm.*-eabi"

# Divides 64-bit numbers, which the processor does not.
DEPENDS += "libgcc"

FIRMWARE = "freertos-cortex-m.elf"
FIRMWARE_CC = "CC_cortex-m"
FIRMWARE_COMPILER = "${HOST_PREFIX}gcc ${TOOLCHAIN_OPTIONS} ${DEBUG_PREFIX_MAP}"
