# Who builds against systemd's libraries wants their headers.
DEPENDS += "debian-development"
RDEPENDS:${PN} += "libcrypto libssl"
