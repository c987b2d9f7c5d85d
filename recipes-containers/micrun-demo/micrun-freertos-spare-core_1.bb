SUMMARY = "FreeRTOS shell for a core beside Linux, as a container image"
DESCRIPTION = "The demo firmware for the baremetal pedestal, started by the kernel on a core of its own."
SECTION = "containers"
LICENSE = "Apache-2.0 & MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"
DEPENDS = "micrun-demo-firmware"

COMPATIBLE_HOST = "aarch64.*-linux"

inherit micrun-image

MICRUN_FIRMWARE = "${STAGING_DATADIR}/micrun/firmware/freertos-spare-core.elf"
MICRUN_OS = "freertos"
MICRUN_TAG = "localhost/micrun/freertos-spare-core:1"
MICRUN_ARCHIVE = "freertos-spare-core"

S = "${UNPACKDIR}"
