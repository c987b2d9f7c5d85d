SUMMARY = "meta-freertos' demo as a container image"
DESCRIPTION = "Built by meta-freertos for QEMU's versatilepb, in a multiconfig of its own, and packed for the qemu pedestal."
HOMEPAGE = "https://github.com/ahcbb6/meta-freertos"
SECTION = "containers"
LICENSE = "MIT"

inherit micrun-image

MICRUN_FIRMWARE_MC = "micrun-freertos"
MICRUN_FIRMWARE_RECIPE = "freertos-demo"
MICRUN_FIRMWARE_TASK = "do_image_complete"
MICRUN_FIRMWARE = "${TOPDIR}/tmp-micrun-freertos/deploy/images/qemuarmv5/freertos-image-qemuarmv5.elf"
MICRUN_OS = "freertos"
MICRUN_TAG = "localhost/micrun/freertos-armv5:1"
MICRUN_ARCHIVE = "freertos-armv5"

LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

S = "${UNPACKDIR}"
