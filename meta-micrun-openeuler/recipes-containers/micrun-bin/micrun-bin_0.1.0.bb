SUMMARY = "containerd shim that runs RTOS firmware, as it was built elsewhere"
DESCRIPTION = "containerd's runtime io.containerd.mica.v2 as a static program, for a system whose Rust is too old to build it. It \
talks to openEuler's own micad."
SECTION = "containers"
LICENSE = "Apache-2.0 & MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

FILESEXTRAPATHS:prepend := "${MICRUN_BIN_DIR}:${THISDIR}/../../..:"
SRC_URI = "file://containerd-shim-mica-v2 file://etc/containerd file://etc/mica/micrun"
S = "${UNPACKDIR}"

COMPATIBLE_HOST = "aarch64.*-linux"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0755 -t ${D}${bindir} ${S}/containerd-shim-mica-v2
    install -D -m 0644 -t ${D}${sysconfdir}/containerd ${S}/etc/containerd/config.toml
    install -D -m 0644 -t ${D}${sysconfdir}/mica/micrun ${S}/etc/mica/micrun/micrun.conf
}

CONFFILES:${PN} = "${sysconfdir}/containerd/config.toml ${sysconfdir}/mica/micrun/micrun.conf"
# As cargo made it, for the same architecture.
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"
INSANE_SKIP:${PN} += "already-stripped ldflags"
