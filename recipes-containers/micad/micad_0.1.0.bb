SUMMARY = "mica daemon and the mica command"
SUMMARY:${PN}-monitoring = "Alert rules and a dashboard for micad's metrics"
DESCRIPTION = "Loads, starts, stops and watches RTOS firmware: on a spare core by remoteproc, or in a QEMU of its own. Its protocol is openEuler's."

require recipes-containers/micrun/micrun.inc
inherit systemd update-rc.d

CVE_PRODUCT = "micrun:micad"

SRC_URI += "file://micad.init file://micad-modules.conf file://micad-kernel-log.conf"

# What runs firmware without a remote processor. Cortex-M needs the second. For RISC-V, QEMU brings OpenSBI.
PACKAGECONFIG ??= "qemu"
PACKAGECONFIG[qemu] = ",,,,qemu-system-aarch64 qemu-system-arm"
PACKAGECONFIG[riscv] = ",,,,qemu-system-riscv64 qemu-system-riscv32"

# Where micad puts firmware for the kernel, on systems whose /lib/firmware is read-only.
MICAD_FIRMWARE_DIR ?= ""

SYSTEMD_SERVICE:${PN} = "micad.service mica-shutdown.service"
INITSCRIPT_NAME = "micad"
# Before containerd (90), after the kernel's modules.
INITSCRIPT_PARAMS = "defaults 80 20"

do_install:append() {
    install -D -m 0644 -t ${D}${sysconfdir}/mica ${S}/etc/mica/micad.conf
    # The unit may write there, if it exists.
    install -d ${D}${nonarch_base_libdir}/firmware
    if [ -n "${MICAD_FIRMWARE_DIR}" ]; then
        sed -i "s|^\[Micad\]$|&\nFirmwareDir = ${MICAD_FIRMWARE_DIR}|" ${D}${sysconfdir}/mica/micad.conf
    fi
    install -D -m 0644 -t ${D}${datadir}/micrun/grafana ${S}/micrun/micad/grafana/micad.json
    install -D -m 0644 -t ${D}${datadir}/micrun/prometheus ${S}/micrun/micad/prometheus/rules.yml
    if ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', 'true', 'false', d)}; then
        install -D -m 0644 -t ${D}${systemd_system_unitdir} ${S}/micrun/micad/systemd/*.service
        for dropin in modules kernel-log; do
            install -D -m 0644 ${UNPACKDIR}/micad-$dropin.conf ${D}${systemd_system_unitdir}/micad.service.d/$dropin.conf
        done
    fi
    if ${@bb.utils.contains('DISTRO_FEATURES', 'sysvinit', 'true', 'false', d)}; then
        install -D -m 0755 ${UNPACKDIR}/micad.init ${D}${sysconfdir}/init.d/micad
    fi
}

# For the machine that has Prometheus and Grafana, which is seldom the one with the firmware.
PACKAGES =+ "${PN}-monitoring"
FILES:${PN}-monitoring += "${datadir}/micrun"
FILES:${PN} += "${systemd_system_unitdir} ${nonarch_base_libdir}/firmware"
CONFFILES:${PN} = "${sysconfdir}/mica/micad.conf"
# Firmware's terminals, for the baremetal pedestal.
RRECOMMENDS:${PN} += "\
    kernel-module-rpmsg-char \
    kernel-module-rpmsg-ctrl \
    kernel-module-rpmsg-ns \
    kernel-module-rpmsg-tty \
    kernel-module-virtio-rpmsg-bus \
"
