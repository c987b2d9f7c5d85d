SUMMARY = "Rust compiler, cargo and the standard libraries of this machine and the target (Debian)"
LICENSE = "MIT"
DEBIAN_PACKAGES = "cargo-web rustc-web libstd-rust-web-* libllvm* libz3-4 libxml2 libicu* libedit2 libbsd0 libmd0 \
    libffi8 libtinfo6 libgit2-* libhttp-parser* libmbed* libcurl4 libssh2-1 libssl3 libnghttp2-14 librtmp1 libpsl5 \
    libldap-2* libsasl2-2 libbrotli1 libgssapi-krb5-2 libkrb5* libk5crypto3 libkeyutils1 libsqlite3-0 libgnutls30 \
    libhogweed6 libnettle8 libidn2-0 libunistring2 libp11-kit0 libtasn1-6 libgmp10 libcom-err2"
PROVIDES += "cargo-native"

inherit native debian-binary

FILESEXTRAPATHS:prepend := "${THISDIR}/files:"
# The target's standard library as well.
SRC_URI += "file://wrapper ${@debian_uris_of(d, 'libstd-rust-web-dev', '${DEBIAN_TARGET}')}"
DEBIAN_TARGET = "arm64"

def debian_uris_of(d, packages, architectures):
    other = d.createCopy()
    other.setVar("DEBIAN_PACKAGES", packages)
    other.setVar("DEBIAN_ARCHITECTURES", d.expand(architectures))
    return debian_uris(other).replace(";name=", ";name=target-")

PV = "1.96.0"

do_install() {
    install -d ${D}${libdir}
    cp -dR --preserve=mode,timestamps,links ${UNPACKDIR}/debian/usr/lib/. ${D}${libdir}/
    for program in rustc cargo; do
        install -D -m 0755 ${UNPACKDIR}/debian/usr/bin/$program ${D}${bindir}/$program.debian
        install -m 0755 ${UNPACKDIR}/wrapper ${D}${bindir}/$program
    done
}
