# What the mixed lane wants besides the prebuilt one: Debian's -dev packages and Go, and sources from wherever this
# machine can have them. Sourced after debian.bash.
# shellcheck shell=bash

readonly MIXED_HOST_PACKAGES=(
    autoconf autoconf-archive automake bison cmake flex g++-aarch64-linux-gnu gcc-arm-none-eabi gettext gperf libtool
    libtool-bin m4 ninja-build qemu-system-arm rsync
    bc # the kernel's makefiles
)
# The one that the recipes are written for; Debian 12 has one that knows neither their options nor their pkg-config.
readonly MESON=1.10.2
# As openembedded-core has it.
readonly SBOM_CVE_CHECK=1.3.1
readonly SOURCE_SUITES=(trixie forky sid)

# prepare_mixed WORK - what the build wants of this machine.
prepare_mixed() {
    prepare_host "$1" "${MIXED_HOST_PACKAGES[@]}"
    "$1/venv/bin/pip" install --quiet --disable-pip-version-check --root-user-action ignore \
        "meson==$MESON" "sbom-cve-check==$SBOM_CVE_CHECK"
}

# fetch_mixed DIR - Debian's packages; the recipes take them from DIR, checksums from its mixed.lock.
fetch_mixed() {
    local dir=$1 inputs
    fetch_debian "$dir"
    inputs=$(cat tests/yocto/mixed.packages tests/yocto/lib/{mixed,debian}.bash | sha256sum)
    if [[ $inputs != "$(cat "$dir/.mixed" 2>/dev/null)" ]]; then
        local PACKAGE_LIST=tests/yocto/mixed.packages
        download "$dir" mixed "$DEBIAN_SUITE" arm64
        download "$dir" development "$DEBIAN_SUITE" arm64
        download "$dir" go "$DEBIAN_SUITE-backports" amd64
        echo "$inputs" >"$dir/.mixed"
    fi
    cat "$dir"/{mixed,host,development,go}.lock >"$dir/mixed.lock.tmp"
    # Unchanged, it stays as it is, for bitbake's sake.
    cmp -s "$dir/mixed.lock.tmp" "$dir/mixed.lock" || mv "$dir/mixed.lock.tmp" "$dir/mixed.lock"
    rm -f "$dir/mixed.lock.tmp"
}

# source_index DIR - prints SHA-256 and address of every file of Debian's source packages.
source_index() {
    local uri suite
    private_apt "$1" "$DEBIAN_SUITE" amd64
    uri=$(sed -nE '1s/.* (http[^ ]*) .*/\1/p' "$1/etc/sources.list")
    for suite in "${SOURCE_SUITES[@]}"; do
        # Suites that are not released may be past their date; their signature counts.
        sed -nE "1s/^deb \[/deb-src [check-valid-until=no /; 1s/ $DEBIAN_SUITE / $suite /p" "$1/etc/sources.list"
    done >"$1/sources"
    mv "$1/sources" "$1/etc/sources.list"
    apt-get -qq update
    # shellcheck disable=SC2016 # apt expands these
    apt-get indextargets --format '$(FILENAME)' 'Created-By: Sources' | while read -r index; do
        /usr/lib/apt/apt-helper cat-file "$index"
    done | awk -v uri="$uri" '
        /^Directory: / { directory = $2 }
        /^[A-Z]/ { checksums = $1 == "Checksums-Sha256:" }
        /^ / && checksums { files[$1] = $3 }
        /^$/ { for (sum in files) print sum, uri directory "/" files[sum]; delete files }'
    unset APT_CONFIG
}

# fetch_tarballs DIR - the archives of mixed.tarballs, into bitbake's download directory. What Debian no longer has, bitbake
# asks its upstream for.
fetch_tarballs() {
    local dir=$1 sum name address missing=()
    mkdir -p "$dir"
    while read -r sum name; do
        [[ -e $dir/$name ]] || missing+=("$sum $name")
    done < <(grep -v '^#' tests/yocto/mixed.tarballs)
    ((${#missing[@]})) || return 0
    mkdir -p "$WORK/.sources"
    source_index "$WORK/.sources" >"$WORK/.sources/index"
    for name in "${missing[@]}"; do
        read -r sum name <<<"$name"
        address=$(awk -v sum="$sum" '$1 == sum { print $2; exit }' "$WORK/.sources/index")
        [[ -n $address ]] || {
            echo "Debian has no $name ($sum)"
            continue
        }
        /usr/lib/apt/apt-helper download-file "$address" "$dir/$name.part" "SHA256:$sum"
        mv "$dir/$name.part" "$dir/$name"
    done
    chown -R "$BUILD_USER:" "$dir"
}

# take_mirrors - gives the build user clones of its own of the git mirrors in MICRUN_YOCTO_MIRRORS, which have the names that
# bitbake gives them (host and path, dots for slashes).
take_mirrors() {
    local mirror name
    mkdir -p "$WORK/mirrors"
    for mirror in ${MICRUN_YOCTO_MIRRORS:+"$MICRUN_YOCTO_MIRRORS"/*}; do
        name=${mirror##*/}
        [[ ! -d $mirror || -d $WORK/mirrors/$name ]] || cp -RL "$mirror" "$WORK/mirrors/$name"
    done
    chown -R "$BUILD_USER:" "$WORK/mirrors"
}
