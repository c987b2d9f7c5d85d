# What bitbake wants of this machine: packages, a user, a Python environment, a locale. Sourced.
# shellcheck shell=bash

# bitbake refuses to run as root.
readonly BUILD_USER=micrun-build
readonly HOST_PACKAGES=(
    apt-utils chrpath cpio diffstat gawk git kmod libdw-dev locales lz4 patch perl pkg-config pseudo python3-pexpect
    python3-venv rpcsvc-proto systemd wget zstd bzip2 file g++
    ipxe-qemu # runqemu's network card wants its ROM
)
readonly KAS=5.5

# make_user WORK - the user that builds, whose home is in the work directory. kas and bitbake make directories in both.
make_user() {
    id "$BUILD_USER" >/dev/null 2>&1 ||
        useradd --system --shell /bin/bash --home-dir "$1/home" --no-create-home "$BUILD_USER"
    install -d -o "$BUILD_USER" -g "$BUILD_USER" "$1" "$1/home" "$1/build"
    setpriv --reuid "$BUILD_USER" --regid "$BUILD_USER" --clear-groups test -x "$1" || {
        echo "the user $BUILD_USER cannot reach $1: set MICRUN_YOCTO_WORK to a directory that all can reach" >&2
        return 1
    }
}

# make_environment DIR - kas, for the interpreter that bitbake runs with; one below /root would be unreadable.
make_environment() {
    [[ ! -x $1/bin/kas ]] || return 0
    /usr/bin/python3 -m venv --system-site-packages "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --root-user-action ignore "kas==$KAS"
}

# copy_tree WORK - this repository's files for the build user, who may not be able to read them where they are. A git
# repository because kas finds the root that way; files keep their times, so what is unchanged is not parsed again.
copy_tree() {
    local copy="$1/micrun" file
    rm -rf "$copy.new"
    install -d "$copy.new"
    git ls-files -z --cached --others --exclude-standard |
        while read -r -d '' file; do [[ ! -e $file ]] || printf '%s\0' "$file"; done |
        tar -c --null --files-from=- | tar -x -C "$copy.new"
    git init --quiet "$copy.new"
    chown -R "$BUILD_USER:" "$copy.new"
    rm -rf "$copy"
    mv "$copy.new" "$copy"
}

# prepare_host WORK [PACKAGE]... - all of it; nothing is done twice. They are what a lane wants besides.
prepare_host() {
    tools/setup firmware aarch64 --with "${HOST_PACKAGES[@]}" "${@:2}"
    locale -a | grep -qix 'en_US.utf-\?8' || localedef -i en_US -f UTF-8 en_US.UTF-8
    make_user "$1"
    make_environment "$1/venv"
}

# as_builder COMMAND... - runs a command as the build user, with nothing of this environment but what kas reads.
as_builder() {
    local kept=() name
    for name in KAS_REPO_REF_DIR KAS_PREMIRRORS KAS_CLONE_DEPTH KAS_WORK_DIR KAS_BUILD_DIR http_proxy https_proxy no_proxy; do
        [[ ! -v $name ]] || kept+=("$name=${!name}")
    done
    setpriv --reuid "$BUILD_USER" --regid "$BUILD_USER" --clear-groups --pdeathsig TERM \
        env -i HOME="$WORK/home" USER="$BUILD_USER" LOGNAME="$BUILD_USER" LANG=en_US.UTF-8 TERM="${TERM:-dumb}" \
        PATH="$WORK/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin" "${kept[@]}" nice -n 10 "$@"
}
