SUMMARY = "UniProton's shell as a container image"
DESCRIPTION = "UniProton's demo for QEMU's RISC-V machine, built by bitbake in the multiconfig micrun-uniproton."
HOMEPAGE = "https://gitee.com/openeuler/UniProton"
SECTION = "containers"
LICENSE = "MulanPSL-2.0"

inherit micrun-image

MICRUN_FIRMWARE_MC = "micrun-uniproton"
MICRUN_FIRMWARE_RECIPE = "uniproton-hello"
MICRUN_FIRMWARE = "${TOPDIR}/tmp-micrun-uniproton/deploy/images/qemuriscv64/micrun/firmware/uniproton-hello.elf"
MICRUN_OS = "uniproton"
MICRUN_TAG = "localhost/micrun/uniproton-hello:1"
MICRUN_ARCHIVE = "uniproton-hello"

LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MulanPSL-2.0;md5=74b1b7a7ee537a16390ed514498bf23c"

S = "${UNPACKDIR}"
