SUMMARY = "Users and groups (Debian)"

inherit debian-binary

# Root without a password, as OE's has it: image features decide.
do_install() {
    install -d ${D}${sysconfdir}
    sed 's|^root:\*:\(.*\):/bin/bash$|root::\1:/bin/sh|' ${UNPACKDIR}/debian/usr/share/base-passwd/passwd.master \
        >${D}${sysconfdir}/passwd
    install -m 0644 ${UNPACKDIR}/debian/usr/share/base-passwd/group.master ${D}${sysconfdir}/group
}
