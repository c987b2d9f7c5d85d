SUMMARY = "Container engine (Debian)"
LICENSE = "Apache-2.0"
DEPENDS = "debian-libraries"

inherit debian-binary systemd

SYSTEMD_SERVICE:${PN} = "containerd.service"
RDEPENDS:${PN} = "runc"
RRECOMMENDS:${PN} = "kernel-module-bridge kernel-module-overlay kernel-module-veth"

# The configuration is a package of micrun's. These shims are no longer in containerd 2.
do_install:append() {
    rm -r ${D}${sysconfdir}
    rm ${D}${bindir}/containerd-shim ${D}${bindir}/containerd-shim-runc-v1
}
