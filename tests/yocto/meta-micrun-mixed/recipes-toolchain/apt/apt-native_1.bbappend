# Scripts of busybox and others choose among programs of the same name.
FILESEXTRAPATHS:prepend := "${THISDIR}/files:"
SRC_URI += "file://update-alternatives"

do_install:append() {
    install -D -m 0755 -t ${D}${bindir} ${S}/update-alternatives
}
