# What the cases of the smoke suite share.
# shellcheck shell=sh disable=SC2034 # used by the cases

RUNTIME=io.containerd.mica.v2
SHARE=/usr/share/micrun
DEMO=localhost/micrun/freertos-demo:1
HELLO=localhost/micrun/hello:1
BANNER='micrun FreeRTOS demo'
PROMPT='micrun> '
# Ids of containers begin with it: what is left of a case is found by it.
PREFIX=ptest
# Seconds for one step, generous because the whole system may be emulated.
STEP=120

# Ends the case as failed.
fail() {
    echo "failed: $*"
    exit 1
}

# Ends the case as skipped.
skip() {
    echo "$*" >"$WORK/reason"
    exit 77
}

equal() { [ "$1" = "$2" ] || fail "$3 is '$1', not '$2'"; }

# await WHAT COMMAND... - repeats a command until it succeeds.
await() {
    what=$1
    shift
    # Counted, not timed: in an emulated system `date` costs more than the wait.
    tries=$((STEP * 5))
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "after $STEP s not yet: $what"
        sleep 0.2
    done
}

# import IMAGE - imports one of the packed images, once. (In an emulated system every ctr costs a second.)
import() {
    [ ! -e "$WORK.$1" ] || return 0
    ctr image import "$SHARE/images/$1.tar" >/dev/null
    : >"$WORK.$1"
}

run_detached() {
    : >"$WORK/used"
    ctr run --detach --runtime "$RUNTIME" "$DEMO" "$1"
}

# The state that containerd tells of a task, empty if there is none.
task_state() { ctr task ls | awk -v id="$1" '$1 == id { print $3 }'; }
task_is() { [ "$(task_state "$1")" = "$2" ]; }

# Deletes a stopped task and its container; the status is the task's. (ctr of containerd 1.7 only tells it.)
delete() {
    status=0
    ctr task rm "$1" >/dev/null 2>"$WORK/delete.err" || status=$?
    told=$(sed -n 's/.*exit with non-zero exit code \([0-9]*\).*/\1/p' "$WORK/delete.err")
    cat "$WORK/delete.err"
    ctr container rm "$1"
    return "${told:-$status}"
}

# expect_status STATUS COMMAND... - fails unless the command ends with that status.
expect_status() {
    expected=$1
    shift
    status=0
    "$@" || status=$?
    equal "$status" "$expected" "the exit status of '$*'"
}

# Numbers of the processes of a program, one a line.
processes() { pidof "$1" | tr ' ' '\n'; }
emulators() { processes qemu-system-aarch64; }
shims() { processes containerd-shim-mica-v2; }
count() { "$@" | wc -l; }
none_of() { [ -z "$("$@")" ]; }

needs_systemd() { [ -d /run/systemd/system ] || skip "systemd is not the init of this system"; }
property() { systemctl show --property "$2" --value "$1"; }

containerd_answers() { ctr version >/dev/null 2>&1; }
micad_answers() { mica list >/dev/null 2>&1; }

# A console is `ctr`, with a fifo for its input and a file for its output; a case has one at a time.
open_console() {
    : >"$WORK/open"
    rm -f "$WORK/in" "$WORK/out" && mkfifo "$WORK/in"
    : >"$WORK/out"
    # Read and write, or it would wait for ctr; ctr itself must not hold it open.
    exec 9<>"$WORK/in"
    "$@" <"$WORK/in" >"$WORK/out" 2>"$WORK/err" 9>&- &
    console=$!
}

send() { printf '%s\r' "$*" >&9; }

# Whether the console has shown a line with a basic regular expression, or never will because its ctr has ended.
console_showed() {
    grep -q -- "$1" "$WORK/out" && return
    kill -0 "$console" 2>/dev/null && return 1
    # What it wrote last may be newer than the first look.
    grep -q -- "$1" "$WORK/out" || fail "ctr ended without '$1' on the console"
}

# Awaits a line on the console that a basic regular expression matches.
expect() { await "'$1' on the console" console_showed "$1"; }

# Lets go of the console's input and awaits its ctr; the status is ctr's.
close_console() {
    exec 9>&-
    status=0
    wait "$console" || status=$?
    rm "$WORK/open"
    return "$status"
}

# A console on a container of the demo image that has come to its prompt.
run_demo() {
    import freertos-demo
    open_console ctr run --rm --runtime "$RUNTIME" "$DEMO" "$1"
    expect "$PROMPT"
}

# flood_is_complete LINES - has the open console's demo print as many lines as it can, and looks whether all came.
flood_is_complete() {
    send "flood $1"
    expect "^flood $(printf %010d "$1") the .* dog"
    tr -d '\r' <"$WORK/out" | sed -n 's/^flood \([0-9]\{10\}\) the quick brown fox jumps over the lazy dog$/\1/p' \
        >"$WORK/seen"
    awk -v lines="$1" 'BEGIN { for (i = 1; i <= lines; i++) printf "%010d\n", i }' >"$WORK/expected"
    cmp "$WORK/seen" "$WORK/expected"
}

# A root filesystem with busybox alone, and the libraries it may need.
busybox_root() {
    mkdir -p "$1/bin" "$1/lib"
    # An applet of that name hides the file from `command -v`.
    busybox=$(find /bin/busybox /usr/bin/busybox 2>/dev/null | head -n 1)
    [ -n "$busybox" ] || skip "no busybox to make an ordinary container of"
    cp -L "$busybox" "$1/bin/busybox"
    loader=/lib/ld-linux-aarch64.so.1
    [ -e "$loader" ] || return 0
    cp -L "$loader" "$1/lib"
    # A static one has none.
    "$loader" --list "$busybox" 2>/dev/null | sed -n 's/.* => \([^ ]*\) .*/\1/p' |
        while read -r library; do cp -L "$library" "$1/lib"; done
}

# run_linux OPTIONS... - runs a container of busybox alone; the words of the command come after its id.
run_linux() {
    : >"$WORK/used"
    ctr run --runtime "$RUNTIME" --rootfs "$@"
}

# Processes, mounts, files, units, containers, tasks and snapshots that containers may leave, one a line.
inventory() {
    for process in /proc/[0-9]*; do
        program=$(readlink "$process/exe" 2>/dev/null) || continue
        case ${program##*/} in
            qemu-system-* | containerd-shim-* | crun | runc) echo "process ${program##*/}" ;;
        esac
    done
    awk '$2 ~ /containerd|mica|micrun/ { print "mount", $2 }' /proc/mounts
    # What the first container makes for all.
    find /run/mica /run/micrun /run/containerd 2>/dev/null | grep -vE \
        -e '^/run/mica(/clients|/history-v1\.jsonl)?$' -e '^/run/micrun(/containers|/linux|/pods)?(/default)?$' \
        -e '^/run/containerd(/fifo|/s|/runc|/io\.containerd\.[^/]*)?(/default)?$' \
        -e '^/run/(containerd/runc|micrun/linux)/default/\.empty-directory$' || true
    [ ! -d /run/systemd/system ] || systemctl list-units --no-legend --plain 'ptest-*' | awk '{ print "unit", $1 }'
    ctr container ls -q | sed 's/^/container /'
    ctr task ls -q | sed 's/^/task /'
    ctr snapshot ls | awk '$3 == "Active" { print "snapshot", $1 }'
}

# Ends and removes every container of the suite. A ctr at one of them may be about to do the same.
remove_containers() {
    for id in $(ctr container ls -q | grep "^$PREFIX"); do
        ctr task rm --force "$id"
        ctr container rm "$id"
    done
    await "the last ctr ends" none_of processes ctr
}

# shellcheck source-path=SCRIPTDIR source=core.sh
. "${here:?}/core.sh"
