SUMMARY = "containerd shim that runs RTOS firmware"
SUMMARY:${PN}-containerd-config = "containerd's configuration for micrun"
SUMMARY:${PN}-spare-core-config = "Permission for firmware images to run on the spare core"
DESCRIPTION = "containerd's runtime io.containerd.mica.v2: the firmware's console is the container's stdio, its end the container's exit."

require recipes-containers/micrun/micrun.inc
inherit ptest

CARGO_PACKAGE = "containerd-shim-mica-v2"
CVE_PRODUCT = "micrun:micrun"

MICRUN_FILES += "tests/qemu/ptest"

do_install:append() {
    install -D -m 0644 -t ${D}${sysconfdir}/containerd ${S}/etc/containerd/config.toml
    install -D -m 0644 -t ${D}${sysconfdir}/mica/micrun ${S}/etc/mica/micrun/micrun.conf
    install -D -m 0644 -t ${D}${sysconfdir}/mica/micrun/conf.d ${S}/etc/mica/micrun/conf.d/10-spare-core.conf
}

do_install_ptest() {
    install -D -m 0755 -t ${D}${PTEST_PATH} ${S}/tests/qemu/ptest/run-ptest
    install -D -m 0644 -t ${D}${PTEST_PATH} ${S}/tests/qemu/ptest/*.sh
    install -D -m 0644 -t ${D}${PTEST_PATH}/cases ${S}/tests/qemu/ptest/cases/*.sh
}

# By itself, for distributions that configure containerd themselves: /etc/containerd/config.toml is one file for all.
PACKAGE_BEFORE_PN = "${PN}-containerd-config ${PN}-spare-core-config"
FILES:${PN}-containerd-config += "${sysconfdir}/containerd"
CONFFILES:${PN}-containerd-config = "${sysconfdir}/containerd/config.toml"
CONFFILES:${PN} = "${sysconfdir}/mica/micrun/micrun.conf"

# For systems whose device tree keeps a core for firmware: images may then ask for it. Elsewhere a container must.
FILES:${PN}-spare-core-config += "${sysconfdir}/mica/micrun/conf.d"
CONFFILES:${PN}-spare-core-config = "${sysconfdir}/mica/micrun/conf.d/10-spare-core.conf"

RDEPENDS:${PN} = "micad"
RDEPENDS:${PN}-ptest += "\
    ${MICRUN_CONTAINER_ENGINE} \
    ${MICRUN_CONTAINER_TOOLS} \
    coreutils \
    micrun-containerd-config \
    micrun-demo-firmware \
    micrun-freertos-demo \
    micrun-freertos-spare-core \
    micrun-hello \
    micrun-image-builder \
    micrun-spare-core-config \
"
RRECOMMENDS:${PN} = "kernel-module-overlay kernel-module-erofs"
