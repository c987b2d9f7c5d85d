SUMMARY = "Demo firmware of micrun"
DESCRIPTION = "A FreeRTOS shell for QEMU's virt machine, the same for a core beside Linux, and the smallest bare-metal program, without a C library."
SECTION = "containers"
LICENSE = "Apache-2.0 & MIT"

MICRUN_FILES = "\
    tests/firmware/aarch64 \
    tests/firmware/hello \
    tests/firmware/rproc \
"
require recipes-containers/micrun-demo/micrun-firmware.inc

# Versions of products are the recipe's own: FreeRTOS, whose version is another, is found by its crate.
CVE_PRODUCT = "micrun:demo-firmware"

# Firmware for aarch64, by the compiler of the Linux beside it.
COMPATIBLE_HOST = "aarch64.*-linux"

FIRMWARE = "freertos-demo.elf freertos-demo-patched.elf freertos-spare-core.elf freertos-spare-core-patched.elf hello.elf"
FIRMWARE_COMPILER = "${HOST_PREFIX}gcc ${DEBUG_PREFIX_MAP}"
