SUMMARY = "Libraries that Debian's programs need"
LICENSE = "LGPL-2.1-or-later"
DEBIAN_PACKAGES = "lib* openssl-provider-legacy zlib1g"
# These are recipes of their own.
DEBIAN_EXCLUDE = "libc6 libcrypt1 libgcc-s1"
DEPENDS = "gcc-runtime libxcrypt"

inherit debian-binary

PV = "1"
