SUMMARY = "Zephyr's hello_world as a container image"
DESCRIPTION = "Built by meta-zephyr for qemu_cortex_a53, in a multiconfig of its own, and packed for the qemu pedestal."
HOMEPAGE = "https://zephyrproject.org"
SECTION = "containers"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

inherit micrun-image

MICRUN_FIRMWARE_MC = "micrun-zephyr"
MICRUN_FIRMWARE_RECIPE = "zephyr-helloworld"
MICRUN_FIRMWARE = "${TOPDIR}/tmp-micrun-zephyr/deploy/images/qemu-cortex-a53/zephyr-helloworld.elf"
MICRUN_OS = "zephyr"
MICRUN_TAG = "localhost/micrun/zephyr-helloworld:1"
MICRUN_ARCHIVE = "zephyr-helloworld"

S = "${UNPACKDIR}"
