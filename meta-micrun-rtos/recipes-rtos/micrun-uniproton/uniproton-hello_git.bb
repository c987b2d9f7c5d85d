SUMMARY = "UniProton's shell for QEMU's RISC-V machine"
DESCRIPTION = "UniProton, and its demo hello_world for riscv64virt. It is built in a multiconfig of its own, micrun-uniproton."
HOMEPAGE = "https://gitee.com/openeuler/UniProton"
SECTION = "containers"
LICENSE = "MulanPSL-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=c7ea843127ff6afcb5f768497eb60f0a"

DEPENDS += "cmake-native libgcc"
PV = "1.0.1+git"

# Bounds-checked functions of C, which it is built with.
SRC_URI = "\
    git://gitee.com/openeuler/UniProton.git;protocol=https;branch=master;name=uniproton;destsuffix=${BP} \
    git://gitee.com/openeuler/libboundscheck.git;protocol=https;branch=master;name=libboundscheck;destsuffix=${BP}/platform/libboundscheck \
"
SRCREV_FORMAT = "uniproton"
SRCREV_uniproton = "07bacd42cd1a5fe35e877d72e2882680ef6d0785"
SRCREV_libboundscheck = "43f394077b34f894aa1e650467426c34378fb460"
S = "${UNPACKDIR}/${BP}"
B = "${WORKDIR}/build"

COMPATIBLE_HOST = "null"
COMPATIBLE_HOST:libc-baremetal = "riscv64.*-elf"

inherit deploy nopackages

DEFCONFIG = "${S}/build/uniproton_config/config_riscv64_rv64virt"
DEMO = "${S}/demos/riscv64virt"

uniproton_environment() {
    unset CFLAGS CPPFLAGS ASFLAGS LDFLAGS
    export CPU_TYPE=rv64virt PLAM_TYPE=riscv64 LIB_TYPE=SRE LIB_RUN_TYPE=FPGA COMPILE_OPTION=normal COMPILE_MODE=release
    export BUILD_MACHINE_PLATFORM=x86 SYSTEM=None CORE=None
    export CONFIG_FILE_PATH="${DEFCONFIG}" HOME_PATH="${S}" HCC_PATH="${B}/bin" OBJCOPY_PATH="${B}/bin"
    export BUILD_TMP_DIR="${B}/kernel" UNIPROTON_PACKING_PATH="${S}/output"
}
uniproton_environment[doc] = "What build.py tells CMake, by environment variables"

do_configure() {
    # The compiler, by the name that UniProton gives it.
    install -d ${B}/bin
    for tool in gcc g++ ld ar objcopy; do
        printf '#!/bin/sh\nexec ${HOST_PREFIX}%s "$@"\n' $tool >${B}/bin/riscv64-unknown-elf-$tool
        chmod +x ${B}/bin/riscv64-unknown-elf-$tool
    done
    # The network is off, and its sources would be downloaded.
    install -d ${S}/src/net/lwip
    python3 ${S}/cmake/common/build_auxiliary_script/Kconfig2macro.py -f ${DEFCONFIG}/defconfig -o ${DEFCONFIG}/prt_buildef.h

    uniproton_environment
    cmake -S ${S} -B ${B}/kernel -DCMAKE_TOOLCHAIN_FILE=${S}/cmake/tool_chain/uniproton_tool_chain.cmake \
        -DCMAKE_INSTALL_PREFIX=${S}/output
    libgcc=$(${HOST_PREFIX}gcc ${TOOLCHAIN_OPTIONS} -march=rv64gc -mabi=lp64d -print-libgcc-file-name)
    sed -i -e "s|\"[^\"]*/13.2.0/libgcc.a\"|\"$libgcc\"|" -e 's/rv64gczbb/rv64gc_zbb/' ${DEMO}/CMakeLists.txt
    cmake -S ${DEMO} -B ${B}/demo -DAPP=hello_world -DTOOLCHAIN_PATH=${B} -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY
}

do_compile() {
    uniproton_environment
    cmake --build ${B}/kernel -- ${PARALLEL_MAKE}
    cmake --install ${B}/kernel
    install -d ${DEMO}/include ${DEMO}/libs
    cp -r ${S}/src/include/uapi/* ${S}/platform/libboundscheck/include/*.h ${DEFCONFIG}/prt_buildef.h ${DEMO}/include
    cp ${S}/output/UniProton/lib/rv64virt/* ${S}/output/libboundscheck/lib/rv64virt/* ${DEMO}/libs
    cmake --build ${B}/demo --target hello_world -- ${PARALLEL_MAKE}
}

do_deploy() {
    install -D -m 0644 ${B}/demo/hello_world ${DEPLOYDIR}/micrun/firmware/uniproton-hello.elf
}
addtask deploy after do_compile before do_build
