SUMMARY = "Headers of the libraries that Debian stands in for"
LICENSE = "LGPL-2.1-or-later"
DEBIAN_ORIGIN = "development"
DEBIAN_PACKAGES = "lib*-dev zlib1g-dev"
# The C library is the compiler's.
DEBIAN_EXCLUDE = "libc6-dev libcrypt-dev libc-dev-bin"
DEPENDS = "debian-libraries"
PROVIDES = "${PN} expat glib-2.0 libcap zlib"

inherit debian-binary nopackages

PV = "1"

# meson looks nowhere else for them.
do_install:append() {
    install -d ${D}${libdir}/pkgconfig
    for file in ${D}${libdir}/aarch64-linux-gnu/pkgconfig/*.pc; do
        ln -s ../aarch64-linux-gnu/pkgconfig/${file##*/} ${D}${libdir}/pkgconfig/
    done
}
