SUMMARY = "Rust compiler, cargo and the standard libraries of this machine and the target (Debian)"
LICENSE = "MIT"
DEBIAN_PACKAGES = "cargo-web rustc-web libstd-rust-web-* libllvm* libz3-4 libxml2 libicu* libedit2 libbsd0 libmd0 \
    libffi8 libtinfo6 libgit2-* libhttp-parser* libmbed* libcurl4 libssh2-1 libssl3 libnghttp2-14 librtmp1 libpsl5 \
    libldap-2* libsasl2-2 libbrotli1 libgssapi-krb5-2 libkrb5* libk5crypto3 libkeyutils1 libsqlite3-0 libgnutls30 \
    libhogweed6 libnettle8 libidn2-0 libunistring2 libp11-kit0 libtasn1-6 libgmp10 libcom-err2"
PROVIDES += "cargo-native"

inherit native debian-binary

# The target's standard library as well.
SRC_URI += "${@debian_uris_of(d, 'libstd-rust-web-dev', '${DEBIAN_TARGET}')}"
DEBIAN_TARGET = "arm64"

def debian_uris_of(d, packages, architectures):
    other = d.createCopy()
    other.setVar("DEBIAN_PACKAGES", packages)
    other.setVar("DEBIAN_ARCHITECTURES", d.expand(architectures))
    return debian_uris(other).replace(";name=", ";name=target-")

PV = "1.96.0"

# The machine may lack the compiler's libraries; they come along.
do_install() {
    install -d ${D}${libdir} ${D}${bindir}
    cp -dR --preserve=mode,timestamps,links ${UNPACKDIR}/debian/usr/lib/. ${D}${libdir}/
    for program in rustc cargo; do
        install -m 0755 ${UNPACKDIR}/debian/usr/bin/$program ${D}${bindir}/$program.debian
        cat >${D}${bindir}/$program <<WRAPPER
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
LD_LIBRARY_PATH=\$here/../lib/x86_64-linux-gnu exec "\$here/$program.debian" "\$@"
WRAPPER
        chmod 0755 ${D}${bindir}/$program
    done
}
