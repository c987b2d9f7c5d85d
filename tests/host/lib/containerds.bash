# Every containerd to test with, side by side. To be sourced, with the repository's root as working directory.
# shellcheck shell=bash source-path=SCRIPTDIR/../../qemu/lib source=apt.bash
. tests/qemu/lib/apt.bash

readonly CONTAINERDS="$PWD/.cache/containerds"
readonly CONTAINERD_SUITES=(trixie forky)

# Unpacks a suite's containerd, once.
unpack() {
    local root="$CONTAINERDS/$1" file
    [[ ! -x $root/usr/bin/containerd ]] || return 0
    rm -rf "$root"
    private_apt "$CONTAINERDS/apt-$1" "$1" amd64
    # A mirror's copy of a suite in the making may be older than that suite's lists are valid.
    echo 'Acquire::Check-Valid-Until "false";' >>"$APT_CONFIG"
    apt-get -qq update
    # What it depends on is this machine's: Go programs want little of the C library.
    (cd "$CONTAINERDS/apt-$1/archives" && rm -f containerd_*.deb && apt-get -qq download containerd)
    mkdir -p "$root"
    for file in "$CONTAINERDS/apt-$1/archives"/containerd_*.deb; do
        unpack_package "$file" "$root"
    done
    unset APT_CONFIG
}

# The version of the containerd in a folder.
version_in() { "$1/containerd" --version | awk '{ sub(/^v/, "", $3); print $3 }'; }

# tell_failures TITLE LOG: what nextest has said, if a test failed, on stderr.
tell_failures() {
    ! grep -qE '^ *(FAIL|TIMEOUT|SIG[A-Z]+|ABORT) ' "$2" || { echo "----- $1" && cat "$2"; } >&2
}

# results LOG: what became of each test, a line each: `a_file::a_case`, a tab, PASS or the like. The log is nextest's, with
# `PASS [   1.2s] ( 1/90) micrun-host-tests::linux a_case` for each; a failed one is told again at the end.
results() {
    sed -nE 's/^ *(PASS|FAIL|TIMEOUT|SIG[A-Z]+|ABORT) \[[^]]*\] (\([^)]*\) )?[^:]*::([^ ]+) (.*)/\3::\4\t\1/p' "$1" | sort -u
}

# keep_results LANE FILE: where MICRUN_RESULTS says, for `tools/engines`. A lane is `CLIENT VERSION`.
keep_results() {
    [[ -z ${MICRUN_RESULTS:-} ]] || cp "$2" "$MICRUN_RESULTS/$1"
}

# The OCI runtime for a containerd: crun, as our shim has it, where it reads what that containerd writes. Before 1.14.3 crun
# refuses any specification but 1.0 ("unknown version specified", containers/crun#1620), which 1.6 alone writes.
linux_runtime() {
    local crun
    crun=$(crun --version | awk '/^crun version/ { print $3 }')
    if [[ $1 == 1.6.* || $(printf '%s\n' 1.14.3 "$crun" | sort -V | head -n 1) == 1.14.3 ]]; then
        echo crun
    else
        echo runc
    fi
}

# Sets `folders` to those of the programs: those that MICRUN_CONTAINERD_BIN names, with `:` between them; without it this
# machine's, then those of Debian's suites, unpacked into .cache/containerds.
find_containerds() {
    local suite folder
    if [[ -n ${MICRUN_CONTAINERD_BIN:-} ]]; then
        IFS=: read -ra folders <<<"$MICRUN_CONTAINERD_BIN"
        for folder in "${folders[@]}"; do
            [[ -x $folder/containerd && -x $folder/ctr ]] ||
                { echo "MICRUN_CONTAINERD_BIN names $folder, which has no containerd and ctr" >&2 && exit 2; }
        done
        return
    fi
    folders=("$(dirname "$(command -v containerd)")")
    mkdir -p "$CONTAINERDS"
    exec 9>"$CONTAINERDS/lock"
    flock 9
    for suite in "${CONTAINERD_SUITES[@]}"; do
        unpack "$suite"
        folders+=("$CONTAINERDS/$suite/usr/bin")
    done
    flock -u 9
}
