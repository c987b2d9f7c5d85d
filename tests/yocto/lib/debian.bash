# Debian's binaries for the prebuilt lane: downloaded and checked into one directory, from which the recipes of
# meta-micrun-prebuilt fetch them. Sourced.
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=../../qemu/lib/apt.bash
. tests/qemu/lib/apt.bash

# Prints the names of one origin in tests/yocto/packages.
packages_of() { sed -nE "s/^$1 +//p" tests/yocto/packages; }

# download DIR ORIGIN SUITE ARCHITECTURE... - downloads the packages of an origin and all they depend on into DIR,
# without the epoch in the files' names.
download() {
    local dir=$1 origin=$2 suite=$3 database="$1/.apt-$2" names lock file
    shift 3
    private_apt "$database" "$suite" "$@"
    : >"$database/etc/preferences.d/lock"
    for lock in tests/qemu/packages.lock tests/yocto/packages.lock; do
        pin_versions "$lock" "$database/lock"
        cat "$database/lock" >>"$database/etc/preferences.d/lock"
    done
    apt-get -qq update
    mapfile -t names < <(packages_of "$origin")
    mapfile -t names < <(fetch_packages "${names[@]}")
    for file in "${names[@]}"; do
        ln -f "$database/archives/$file" "$dir/${file/_*%3a/_}"
    done
}
