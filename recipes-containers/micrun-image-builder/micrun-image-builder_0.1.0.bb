SUMMARY = "Packs RTOS firmware into OCI images"
DESCRIPTION = "Makes an OCI image of a firmware ELF, reproducibly, shows what an image will do, and sends it to registries. It \
needs no container engine, no daemon and no root."

require recipes-containers/micrun/micrun.inc

# With zstd and zlib in it.
LICENSE:append = " & BSD-3-Clause & Zlib"
CVE_PRODUCT = "micrun:micrun-image-builder"

# The C code of crates is compiled where they were unpacked, outside of S: no path of the build in its debug symbols.
DEBUG_PREFIX_MAP:append:class-target = " -ffile-prefix-map=${CARGO_HOME}=${TARGET_DBGSRC_DIR}/cargo_home"

# Without registry, the program has no verb that needs a network, and half the crates.
PACKAGECONFIG ??= "registry"
PACKAGECONFIG[registry] = ",,"
CARGO_BUILD_FLAGS += "${@bb.utils.contains('PACKAGECONFIG', 'registry', '', '--no-default-features', d)}"

BBCLASSEXTEND = "native nativesdk"
