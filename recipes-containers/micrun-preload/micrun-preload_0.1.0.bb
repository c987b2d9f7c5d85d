SUMMARY = "Import of OCI archives into containerd on first boot"
DESCRIPTION = "What packages put into /usr/share/micrun/images is imported once per digest, after containerd has come up."
SECTION = "containers"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://micrun-preload file://micrun-preload.service file://micrun-preload.init"
S = "${UNPACKDIR}"

inherit allarch systemd update-rc.d

SYSTEMD_SERVICE:${PN} = "micrun-preload.service"
INITSCRIPT_NAME = "micrun-preload"
# After containerd (90).
INITSCRIPT_PARAMS = "start 95 2 3 4 5 ."

# The units name it by its path.
libexecdir = "${exec_prefix}/libexec"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0755 -t ${D}${libexecdir} ${S}/micrun-preload
    if ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', 'true', 'false', d)}; then
        install -D -m 0644 -t ${D}${systemd_system_unitdir} ${S}/micrun-preload.service
    fi
    if ${@bb.utils.contains('DISTRO_FEATURES', 'sysvinit', 'true', 'false', d)}; then
        install -D -m 0755 ${S}/micrun-preload.init ${D}${sysconfdir}/init.d/micrun-preload
    fi
}

FILES:${PN} += "${systemd_system_unitdir}"
