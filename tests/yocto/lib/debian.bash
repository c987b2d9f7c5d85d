# Debian's binaries for the prebuilt lane, in one directory from which the recipes of meta-micrun-prebuilt fetch them:
#
#   target/, host/     packages for the image, and the Rust compiler for this machine
#   kernel/            the kernel that tests/qemu/kernel/build has unpacked, as one archive
#   packages.lock      the SHA-256 of each, which the recipes take their checksums from; names as apt has them, with
#                      the version's epoch (1%3a), which files' names are without
#
# Sourced.
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=../../qemu/lib/apt.bash
. tests/qemu/lib/apt.bash

readonly DEBIAN_SUITE=trixie
readonly KERNEL_SERIES=6.12

# Prints the names of one origin in tests/yocto/packages, or in the list of a lane of its own.
packages_of() { sed -nE "s/^$1 +//p" "${PACKAGE_LIST:-tests/yocto/packages}"; }

# Prints the locks of what was tested, as lines of a packages.lock without directories.
tested() { sed 's|  [a-z]*/|  |' tests/qemu/packages.lock tests/yocto/packages.lock; }

# download DIR ORIGIN SUITE ARCHITECTURE... - downloads the packages of an origin and all they depend on into
# DIR/ORIGIN, the files without the epoch in their names.
download() {
    local into="$1/$2" origin=$2 suite=$3 database="$1/.apt/$2" names file
    shift 3
    private_apt "$database" "${suite%-backports}" "$@"
    [[ $suite != *-backports ]] || sed -i "1{p; s/ ${suite%-backports} / $suite /}" "$database/etc/sources.list"
    pin_versions <(tested) "$database/etc/preferences.d/lock"
    apt-get -qq update
    mapfile -t names < <(packages_of "$origin")
    mapfile -t names < <(fetch_packages "${names[@]}")
    unset APT_CONFIG
    ((${#names[@]})) || return
    rm -rf "$into"
    mkdir -p "$into"
    for file in "${names[@]}"; do
        ln -f "$database/archives/$file" "$into/${file/_*%3a/_}"
    done
    (cd "$database/archives" && sha256sum -- "${names[@]}") | sed "s|  |&$origin/|" >"$into.lock"
}

# pack_kernel DIR - the kernel and its headers as one archive, the same bytes every time.
pack_kernel() {
    local release cache=.cache/kernel
    tests/qemu/kernel/build
    release=$(<"$cache/$KERNEL_SERIES.release")
    [[ ! -e $1/kernel.lock || ! -e $1/kernel/linux_${release}_arm64.tar ]] || return 0
    rm -rf "$1/kernel"
    mkdir -p "$1/kernel"
    # As Debian packed them: tests/qemu/kernel/build has adapted some files, and keeps the originals beside them.
    tar -c --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=go=rX -C "$cache/$release" \
        image headers source tools >"$1/kernel/linux.tmp"
    mv "$1/kernel/linux.tmp" "$1/kernel/linux_${release}_arm64.tar"
    (cd "$1" && sha256sum -- kernel/*.tar) >"$1/kernel.lock"
}

# A package of the same name and version as one that was tested must have the same bytes; others are newer.
check_tested() {
    local file name newer=()
    while read -r _ file; do
        name=${file#*/}
        if ! grep -qF "  $file" tests/yocto/packages.lock; then
            newer+=("$name")
        elif ! grep -qxF "$(grep -F "  $file" "$1/packages.lock")" tests/yocto/packages.lock; then
            echo "prebuilt: the mirror's $name is not the one of tests/yocto/packages.lock; its SHA-256 differs." >&2
            return 1
        fi
    done < <(grep -v '  kernel/' "$1/packages.lock")
    ((${#newer[@]} == 0)) || echo "prebuilt: newer than tests/yocto/packages.lock: ${newer[*]}" >&2
}

# fetch_debian DIR - all of it; without a network when it is there and nothing that decides about it has changed.
fetch_debian() {
    local dir=$1 inputs host
    mkdir -p "$dir"
    inputs=$(cat tests/yocto/{packages,packages.lock,lib/debian.bash} tests/qemu/lib/apt.bash | sha256sum)
    if [[ $inputs != "$(cat "$dir/.inputs" 2>/dev/null)" ]]; then
        # shellcheck source=/dev/null
        host=$(. /etc/os-release && echo "$VERSION_CODENAME")
        download "$dir" target "$DEBIAN_SUITE" arm64
        download "$dir" host "$host" amd64 arm64
        echo "$inputs" >"$dir/.inputs"
    fi
    pack_kernel "$dir"
    cat "$dir"/{target,host,kernel}.lock >"$dir/packages.lock.tmp"
    # Unchanged, it stays as it is: bitbake parses anew what has read a newer one.
    cmp -s "$dir/packages.lock.tmp" "$dir/packages.lock" || mv "$dir/packages.lock.tmp" "$dir/packages.lock"
    rm -f "$dir/packages.lock.tmp"
    check_tested "$dir"
}
