SUMMARY = "RTOS firmware as containers"
SUMMARY:${PN}-demo = "Demo firmware for micrun"
DESCRIPTION = "What a system needs to run firmware beside ordinary containers, and the demo."
SECTION = "containers"
LICENSE = "MIT"

# The kernel's modules are the machine's.
PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit packagegroup

PACKAGES = "${PN} ${PN}-demo"

RDEPENDS:${PN} = "\
    ${MICRUN_CONTAINER_ENGINE} \
    micad \
    micrun \
    micrun-containerd-config \
"
RDEPENDS:${PN}-demo = "\
    ${MICRUN_CONTAINER_TOOLS} \
    ${PN} \
    micrun-image-builder \
    micrun-preload \
"
RDEPENDS:${PN}-demo:append:aarch64 = " \
    micrun-demo-firmware \
    micrun-freertos-demo \
    micrun-freertos-spare-core \
    micrun-hello \
    micrun-sensor \
    micrun-spare-core-config \
"
RRECOMMENDS:${PN}:aarch64 = "mica-rproc"
