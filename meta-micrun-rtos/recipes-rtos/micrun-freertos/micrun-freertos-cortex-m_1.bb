SUMMARY = "FreeRTOS shell for a Cortex-M3, as a container image"
DESCRIPTION = "The demo firmware for the qemu pedestal, built by bitbake for bare metal in the multiconfig micrun-rtos."
SECTION = "containers"
LICENSE = "Apache-2.0 & MIT"

inherit micrun-image

MICRUN_FIRMWARE_MC = "micrun-rtos"
MICRUN_FIRMWARE_RECIPE = "micrun-freertos-firmware"
MICRUN_FIRMWARE = "${TOPDIR}/tmp-micrun-rtos/deploy/images/micrun-mps2-an385/micrun/firmware/freertos-cortex-m.elf"
MICRUN_OS = "freertos"
MICRUN_TAG = "localhost/micrun/freertos-cortex-m:1"
MICRUN_ARCHIVE = "freertos-cortex-m"

LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

S = "${UNPACKDIR}"
