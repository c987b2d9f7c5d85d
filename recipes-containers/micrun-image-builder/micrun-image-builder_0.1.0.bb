SUMMARY = "Packs RTOS firmware into OCI images"
DESCRIPTION = "Makes an OCI image of firmware, reproducibly, shows what it will do, and sends it to registries. Needs no daemon and no root."

require recipes-containers/micrun/micrun.inc

# With zstd and zlib in it.
LICENSE:append = " & BSD-3-Clause & Zlib"
CVE_PRODUCT = "micrun:micrun-image-builder"

# The C code of crates is compiled where they were unpacked, outside of S: no path of the build in its debug symbols.
DEBUG_PREFIX_MAP:append:class-target = " -ffile-prefix-map=${CARGO_HOME}=${TARGET_DBGSRC_DIR}/cargo_home"

# registry: push, pull, login and the like, and half of the crates. containerd: import, load and export over its socket.
# Without both, the program has every verb that needs neither a network nor a daemon.
PACKAGECONFIG ??= "containerd registry"
PACKAGECONFIG[containerd] = ",,"
PACKAGECONFIG[registry] = ",,"
CARGO_BUILD_FLAGS += "--no-default-features --features '${@bb.utils.filter('PACKAGECONFIG', 'containerd registry', d)}'"

BBCLASSEXTEND = "native nativesdk"
