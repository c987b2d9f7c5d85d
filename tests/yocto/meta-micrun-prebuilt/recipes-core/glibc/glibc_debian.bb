SUMMARY = "C library (Debian)"
LICENSE = "LGPL-2.1-or-later"
DEBIAN_PACKAGES = "libc6"
PROVIDES += "virtual/libc virtual/libiconv virtual/libintl"

inherit debian-binary

# Character sets other than UTF-8: 20 MB that nothing here asks for. In openembedded-core, too, they are packages apart.
PACKAGES =+ "${PN}-gconv"
FILES:${PN}-gconv = "${libdir}/*/gconv"
INSANE_SKIP:${PN}-gconv = "${INSANE_SKIP:${PN}}"
