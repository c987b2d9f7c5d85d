SUMMARY = "Firmware images that start at boot"
DESCRIPTION = "What the units of images with MICRUN_AUTOSTART run: a container of the image, its console in the journal."
SECTION = "containers"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://micrun-run"
S = "${UNPACKDIR}"

inherit allarch

# The units name it by its path.
libexecdir = "${exec_prefix}/libexec"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0755 -t ${D}${libexecdir} ${S}/micrun-run
}
