SUMMARY = "Stands for this machine's pseudo"
# Assumed to be provided it cannot be: bitbake wants a task of fakeroot's provider.
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"
PROVIDES += "virtual/fakeroot-native"
S = "${UNPACKDIR}"

inherit native

INHIBIT_DEFAULT_DEPS = "1"
