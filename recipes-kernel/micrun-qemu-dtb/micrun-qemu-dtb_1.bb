SUMMARY = "Device tree of QEMU's machine with a core for an RTOS"
DESCRIPTION = "QEMU's own tree for the options of micrun-spare-core.bbclass, with the remote processor and its memory added. runqemu passes it on."
SECTION = "kernel"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

# The QEMU that runqemu starts.
DEPENDS = "dtc-native qemu-system-native"

# The overlay is that of the system that tests/qemu assembles. do_compile adds the property `cpus`, because the phandle
# of a core is known only after QEMU has written its tree.
MICRUN_FILES = "tests/qemu/rtos.dtso"
require recipes-containers/micrun/micrun-source.inc
S = "${UNPACKDIR}/${BP}/tests/qemu"

inherit nopackages deploy micrun-spare-core

COMPATIBLE_MACHINE = "^qemuarm64$"
PACKAGE_ARCH = "${MACHINE_ARCH}"

do_configure[noexec] = "1"
do_install[noexec] = "1"

do_compile() {
    # dtb-randomness=off makes the tree the same every time. virtio-rng gives the kernel better seeds.
    ${QB_SYSTEM_NAME} ${QB_MACHINE} ${QB_CPU} ${QB_SMP} ${QB_MEM} -nodefaults -no-user-config -display none \
        -machine dtb-randomness=off,dumpdtb=${B}/machine.dtb
    dtc -q -@ -I dts -O dtb -o ${B}/rtos.dtbo ${S}/rtos.dtso
    fdtoverlay -i ${B}/machine.dtb -o ${B}/${QB_DTB} ${B}/rtos.dtbo
    fdtput -t x ${B}/${QB_DTB} /rtos cpus $(fdtget -t x ${B}/machine.dtb /cpus/cpu@3 phandle)
}

do_deploy() {
    install -m 0644 -t ${DEPLOYDIR} ${B}/${QB_DTB}
}
addtask deploy after do_compile before do_build
