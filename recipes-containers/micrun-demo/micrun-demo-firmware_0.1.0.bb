SUMMARY = "Demo firmware of micrun"
DESCRIPTION = "A FreeRTOS shell for QEMU's virt machine, the same for a core beside Linux, and the smallest bare-metal program, without a C library."
SECTION = "containers"
LICENSE = "Apache-2.0 & MIT"
LIC_FILES_CHKSUM = "\
    file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
    file://${FREERTOS}/FreeRTOS-Kernel/LICENSE.md;md5=7ae2be7fb1637141840314b51970a9f7 \
"

MICRUN_FILES = "\
    LICENSE \
    tests/firmware/Makefile \
    tests/firmware/aarch64 \
    tests/firmware/common \
    tests/firmware/freertos \
    tests/firmware/hello \
    tests/firmware/include \
    tests/firmware/kernel \
    tests/firmware/rproc \
"
require recipes-containers/micrun/micrun-source.inc
require recipes-containers/micrun-demo/micrun-demo-firmware-crates.inc

# Versions of products are the recipe's own: FreeRTOS, whose version is another, is found by its crate.
CVE_PRODUCT = "micrun:demo-firmware"

# Firmware for aarch64, by the compiler of the Linux beside it.
COMPATIBLE_HOST = "aarch64.*-linux"

inherit deploy

# Where the crate fetcher puts the crate that carries the kernel's C tree.
CRATES = "${UNPACKDIR}/cargo_home/bitbake"
FREERTOS = "${CRATES}/freertos-next-0.12.0"
FIRMWARE = "freertos-demo.elf freertos-demo-patched.elf freertos-spare-core.elf freertos-spare-core-patched.elf hello.elf"

do_configure() {
    # The Makefile's own way to unpack the crate is cargo's; bitbake has done it.
    touch ${CRATES}/.complete
}

do_compile() {
    oe_runmake -C ${S}/tests/firmware ${@' '.join('${B}/firmware/' + name for name in d.getVar('FIRMWARE').split())} \
        OUT=${B}/firmware VENDOR=${CRATES} CROSS=${HOST_PREFIX} CC="${HOST_PREFIX}gcc ${DEBUG_PREFIX_MAP}"
}

do_install() {
    for firmware in ${FIRMWARE}; do
        install -D -m 0644 -t ${D}${datadir}/micrun/firmware ${B}/firmware/$firmware
    done
}

do_deploy() {
    for firmware in ${FIRMWARE}; do
        install -D -m 0644 -t ${DEPLOYDIR}/micrun/firmware ${B}/firmware/$firmware
    done
}
addtask deploy after do_compile before do_build

FILES:${PN} += "${datadir}/micrun/firmware"
# The driver wants the section headers, people the symbols.
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"
INHIBIT_SYSROOT_STRIP = "1"
