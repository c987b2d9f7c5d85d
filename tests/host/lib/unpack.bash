# Programs of any Debian suite, unpacked side by side and installed nowhere. To be sourced, with the repository's root as
# working directory.
# shellcheck shell=bash source-path=SCRIPTDIR/../../qemu/lib source=apt.bash
. tests/qemu/lib/apt.bash

# unpack_packages CACHE FOLDER SUITE PACKAGE... - puts a suite's packages below CACHE/FOLDER, once. What they depend on is
# this machine's, for Go programs want little of the C library.
unpack_packages() {
    local root="$1/$2" apt="$1/apt-$2" file
    [[ ! -e $root/complete ]] || return 0
    rm -rf "$root" "$apt/archives"
    private_apt "$apt" "$3" amd64
    # A mirror's copy of a suite in the making may be older than that suite's lists are valid.
    echo 'Acquire::Check-Valid-Until "false";' >>"$APT_CONFIG"
    apt-get -qq update
    (cd "$apt/archives" && apt-get -qq download "${@:4}")
    mkdir -p "$root"
    for file in "$apt"/archives/*.deb; do
        unpack_package "$file" "$root"
    done
    rm -rf "$apt/archives"
    touch "$root/complete"
    unset APT_CONFIG
}
