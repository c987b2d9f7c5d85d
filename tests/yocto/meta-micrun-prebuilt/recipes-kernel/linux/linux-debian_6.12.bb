SUMMARY = "Linux kernel (Debian)"
LICENSE = "GPL-2.0-only"
PROVIDES = "virtual/kernel"

DEBIAN_ORIGIN = "kernel"
DEBIAN_PACKAGES = "linux"

inherit debian-binary kernel-module-split linux-kernel-base deploy

KERNEL_VERSION = "${@debian_packages(d)[0][1]}"
PACKAGE_ARCH = "${MACHINE_ARCH}"
COMPATIBLE_MACHINE = "^qemuarm64$"

FILESEXTRAPATHS:prepend := "${THISDIR}/../../../../qemu:"
SRC_URI += "file://modules.py"

# Debian has thousands; these, and those they need, come into packages. (Each would be one.)
PREBUILT_MODULES ?= "autofs4 br_netfilter bridge crc32c_generic erofs ext4 iptable_nat loop nf_tables overlay \
    qemu_fw_cfg rpmsg_core tun veth virtio_blk virtio_console virtio_net virtio_rng vfat xt_MASQUERADE xt_conntrack"

do_install() {
    mkdir -p ${WORKDIR}/kernel/extra
    ln -sfn ${UNPACKDIR}/debian/image/usr/lib/modules ${WORKDIR}/kernel/modules
    echo ${KERNEL_VERSION} >${WORKDIR}/kernel/version
    python3 ${UNPACKDIR}/modules.py ${WORKDIR}/kernel ${D} ${PREBUILT_MODULES}
    # depmod makes it, from all modules of the image.
    rm ${D}${nonarch_base_libdir}/modules/${KERNEL_VERSION}/modules.dep
    install -m 0644 -t ${D}${nonarch_base_libdir}/modules/${KERNEL_VERSION} \
        ${UNPACKDIR}/debian/image/usr/lib/modules/${KERNEL_VERSION}/modules.builtin* \
        ${UNPACKDIR}/debian/image/usr/lib/modules/${KERNEL_VERSION}/modules.order
}

# What module.bbclass builds against: sources and build directory, as a kernel built here would leave them.
do_shared_workdir[cleandirs] += "${STAGING_KERNEL_DIR} ${STAGING_KERNEL_BUILDDIR}"
do_shared_workdir() {
    src=${STAGING_KERNEL_DIR} out=${STAGING_KERNEL_BUILDDIR} headers=${UNPACKDIR}/debian/headers/usr
    cp -R ${headers}/src/linux-headers-*-common/. $src
    cp -R ${headers}/src/linux-headers-${KERNEL_VERSION}/. $out
    cp -R ${UNPACKDIR}/debian/source/drivers $src
    rm -f $src/scripts $src/tools $out/scripts $out/tools $out/.kernelvariables
    cp -R ${headers}/lib/linux-kbuild-*/. $src
    ln -s $src/scripts $out/scripts
    ln -s $src/tools $out/tools
    find $src $out -name '*.packaged' | while read -r file; do mv $file ${file%.packaged}; done
    echo "include $src/Makefile" >$out/Makefile
    # The tools want a C library newer than this machine's may be.
    mkdir $src/.tools
    cp -R ${UNPACKDIR}/debian/tools/usr/lib/x86_64-linux-gnu/. $src/.tools
    for tool in basic/fixdep genksyms/genksyms mod/modpost.real-lsb-64; do
        mv $src/scripts/$tool $src/scripts/$tool.debian
        printf '#!/bin/sh\nexec %s/ld-linux-x86-64.so.2 --library-path %s %s "$@"\n' \
            $src/.tools $src/.tools $src/scripts/$tool.debian >$src/scripts/$tool
        chmod 0755 $src/scripts/$tool
    done
    # BTF would need pahole and the whole vmlinux; the alignment option a compiler as new as the kernel's own.
    sed -i -E '/^CONFIG_(DEBUG_INFO_BTF_MODULES|CC_HAS_MIN_FUNCTION_ALIGNMENT)=/d' $out/include/config/auto.conf
    echo ${KERNEL_VERSION} >$out/kernel-abiversion
    echo >$out/kernel-localversion
}
addtask shared_workdir after do_unpack before do_compile_kernelmodules
addtask compile_kernelmodules after do_shared_workdir before do_build
do_compile_kernelmodules() {
    :
}
do_compile_kernelmodules[noexec] = "1"

do_deploy() {
    install -m 0644 ${UNPACKDIR}/debian/image/boot/vmlinuz-${KERNEL_VERSION} ${DEPLOYDIR}/${KERNEL_IMAGETYPE}
}
addtask deploy after do_install before do_build

# For depmod, when an image is made.
emit_depmod_pkgdata() {
    install -d ${PKGDESTWORK}/kernel-depmod
    echo ${KERNEL_VERSION} >${PKGDESTWORK}/kernel-depmod/kernel-abiversion
    cp ${UNPACKDIR}/debian/image/boot/System.map-${KERNEL_VERSION} ${PKGDESTWORK}/kernel-depmod/
}
PACKAGEFUNCS += "emit_depmod_pkgdata"

PACKAGES = "kernel kernel-base kernel-modules"
PACKAGES_DYNAMIC += "^kernel-module-.*"
FILES:kernel = ""
FILES:kernel-base = "${nonarch_base_libdir}/modules/${KERNEL_VERSION}/modules.*"
FILES:kernel-modules = ""
ALLOW_EMPTY:kernel = "1"
ALLOW_EMPTY:kernel-modules = "1"
RDEPENDS:kernel = "kernel-base"
RPROVIDES:kernel-base = "kernel-${KERNEL_VERSION}"
