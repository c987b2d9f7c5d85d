SUMMARY = "Packs RTOS firmware into OCI images"
DESCRIPTION = "Makes an OCI image of a firmware ELF, reproducibly, and shows what an image will do. It needs no container \
engine, no daemon, no network and no root."

require recipes-containers/micrun/micrun.inc

# With zstd and zlib in it.
LICENSE:append = " & BSD-3-Clause & Zlib"
CVE_PRODUCT = "micrun:micrun-image-builder"

# The C code of crates is compiled where they were unpacked, outside of S: no path of the build in its debug symbols.
DEBUG_PREFIX_MAP:append:class-target = " -ffile-prefix-map=${CARGO_HOME}=${TARGET_DBGSRC_DIR}/cargo_home"

BBCLASSEXTEND = "native nativesdk"
