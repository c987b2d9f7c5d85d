SUMMARY = "Runs the installed test suites (a script in the place of the program)"
SECTION = "prebuilt"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "file://ptest-runner"
S = "${UNPACKDIR}"

inherit allarch

INHIBIT_DEFAULT_DEPS = "1"

do_install() {
    install -D -m 0755 -t ${D}${bindir} ${S}/ptest-runner
}
