SUMMARY = "FreeRTOS shell that runs from boot on"
DESCRIPTION = "The demo firmware for the qemu pedestal, as a container that systemd starts, and starts anew when it has failed."
SECTION = "containers"
LICENSE = "Apache-2.0 & MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"
DEPENDS = "micrun-demo-firmware"

COMPATIBLE_HOST = "aarch64.*-linux"

inherit micrun-image

MICRUN_FIRMWARE = "${STAGING_DATADIR}/micrun/firmware/freertos-demo.elf"
MICRUN_OS = "freertos"
MICRUN_TAG = "localhost/micrun/sensor:1"
MICRUN_ARCHIVE = "sensor"
MICRUN_AUTOSTART = "on-failure"

S = "${UNPACKDIR}"
