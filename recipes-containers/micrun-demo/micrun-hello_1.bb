SUMMARY = "Smallest bare-metal program as a container image"
DESCRIPTION = "Prints one line, and powers its machine off: to see that firmware runs, and how long it takes."
SECTION = "containers"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"
DEPENDS = "micrun-demo-firmware"

COMPATIBLE_HOST = "aarch64.*-linux"

inherit micrun-image

MICRUN_FIRMWARE = "${STAGING_DATADIR}/micrun/firmware/hello.elf"
MICRUN_OS = "baremetal"
MICRUN_TAG = "localhost/micrun/hello:1"
MICRUN_ARCHIVE = "hello"

S = "${UNPACKDIR}"
