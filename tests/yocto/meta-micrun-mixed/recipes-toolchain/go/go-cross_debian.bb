SUMMARY = "Go compiler (Debian)"
LICENSE = "BSD-3-Clause"
DEBIAN_ORIGIN = "go"
DEBIAN_ARCHITECTURES = "amd64 all"
DEBIAN_PACKAGES = "golang-*"

inherit cross goarch debian-binary

PN = "go-cross-${TUNE_PKGARCH}"
PROVIDES = "virtual/${TUNE_PKGARCH}-go"
DEPENDS = ""

# Debian spreads it over two trees.
do_install() {
    for tree in lib share; do
        install -d ${D}${libdir}/go
        cp -R --no-dereference --preserve=mode,timestamps ${UNPACKDIR}/debian/usr/$tree/go-*/. ${D}${libdir}/go.$tree
    done
    cp -RL --preserve=mode,timestamps ${D}${libdir}/go.share/. ${D}${libdir}/go
    find ${D}${libdir}/go.lib -type l -lname '*/share/*' -delete
    cp -R --preserve=mode,timestamps ${D}${libdir}/go.lib/. ${D}${libdir}/go
    rm -rf ${D}${libdir}/go.share ${D}${libdir}/go.lib
    find ${D}${libdir}/go -depth -type d -name testdata -exec rm -rf {} +
    install -d ${D}${bindir}
    for program in go gofmt; do
        {
            echo '#!/bin/sh'
            echo 'here=$(dirname "$(readlink -f "$0")")'
            echo 'export GOARCH=${TARGET_GOARCH} GOOS=${TARGET_GOOS} GOROOT="$here/../../lib/${CROSS_TARGET_SYS_DIR}/go"'
            echo 'exec "$GOROOT/bin/'$program'" "$@"'
        } >${D}${bindir}/${TARGET_PREFIX}$program
        chmod 0755 ${D}${bindir}/${TARGET_PREFIX}$program
    done
}
