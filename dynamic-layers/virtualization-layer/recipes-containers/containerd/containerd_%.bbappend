# Knows our runtime. Nothing changes unless the distribution asks for it by its feature.
RRECOMMENDS:${PN}:append = "${@bb.utils.contains('DISTRO_FEATURES', 'micrun', ' micrun-containerd-config', '', d)}"

# The recipe has a unit for systemd alone.
FILESEXTRAPATHS:prepend := "${THISDIR}/files:"
MICRUN_SYSVINIT = "${@bb.utils.contains('DISTRO_FEATURES', 'micrun sysvinit', '1', '', d)}"
SRC_URI:append = "${@' file://containerd.init' if d.getVar('MICRUN_SYSVINIT') else ''}"
inherit ${@'update-rc.d' if d.getVar('MICRUN_SYSVINIT') else ''}
INITSCRIPT_NAME = "containerd"
INITSCRIPT_PARAMS = "defaults 90 10"
do_install:append() {
    if [ -n "${MICRUN_SYSVINIT}" ]; then
        install -D -m 0755 ${UNPACKDIR}/containerd.init ${D}${sysconfdir}/init.d/containerd
    fi
}
