# Firmware on a core of its own: what the cases about it share. Sourced by lib.sh.
# shellcheck shell=sh disable=SC2034 # used by the cases

# core_firmware NAME - which image the cases run.
core_firmware() {
    CORE_FIRMWARE=$1
    CORE_DEMO=localhost/micrun/$1:1
}
core_firmware freertos-spare-core

# The first remote processor.
remoteproc() { find /sys/class/remoteproc/ -name 'remoteproc[0-9]*' 2>/dev/null | sort | head -n 1; }

# Skips the case where there is no remote processor for it, or a daemon that does not know what to do with one.
needs_core() {
    core=$(remoteproc)
    [ -n "$core" ] || skip "no remote processor in /sys/class/remoteproc"
    mica version --json | grep -q '"baremetal"' || skip "this micad has no baremetal pedestal"
    [ -e "$SHARE/images/$CORE_FIRMWARE.tar" ] || skip "no image for a remote processor in $SHARE/images"
}

# Whether the running firmware can be held and ended by force. (The driver tells it of running firmware alone.)
has_monitor() { [ "$(cat "$core/device/monitor" 2>/dev/null)" = yes ]; }

core_attribute() { cat "$core/$1"; }
core_attribute_is() { [ "$(core_attribute "$1")" = "$2" ]; }

# What micad tells of the only client, empty if there is none.
client_state() { mica list --json | sed -n 's/.*"state" *: *"\([A-Za-z]*\)".*/\1/p' | head -n 1; }

# all_agree ID STATE - whether containerd, micad, the kernel, the firmware interface (PSCI) and the processes tell the same
# of the only container, on the core: RUNNING, PAUSED, STOPPED, GONE, or CRASHED, which is GONE by its own fault.
all_agree() {
    state=$2
    case $2 in
        RUNNING) remoteproc=running power=on paused=0 client=Running servers=1 ;;
        PAUSED) remoteproc=running power=on paused=1 client=Suspended servers=1 ;;
        STOPPED) remoteproc=offline power=off paused=0 client=Offline servers=1 ;;
        GONE | CRASHED) remoteproc=offline power=off paused=0 client='' servers=0 state='' ;;
    esac
    found=$(core_attribute state)
    # Some kernels do not stop what has crashed (docs/BAREMETAL.md). There, micad frees the core when it starts the next.
    [ "$2" != CRASHED ] || [ "$found" != crashed ] || echo stop >"$core/state" || remoteproc=crashed
    equal "$found" "$remoteproc" "the remoteproc's state"
    if [ -e "$core/device/core_state" ]; then
        equal "$(core_attribute device/core_state)" "$power" "the core's power state by PSCI"
        equal "$(core_attribute device/paused)" "$paused" "the driver's 'paused'"
    fi
    equal "$(client_state)" "$client" "micad's state of the client"
    equal "$(task_state "$1")" "$state" "containerd's state of the task"
    equal "$(count shims)" "$servers" "the number of shims"
    equal "$(count emulators)" 0 "the number of emulators"
}

run_detached_on_core() {
    : >"$WORK/used"
    import "$CORE_FIRMWARE"
    ctr run --detach --runtime "$RUNTIME" "$CORE_DEMO" "$1"
}

# A console on the demo that has come to its prompt, on the core.
run_on_core() {
    import "$CORE_FIRMWARE"
    open_console ctr run --rm --runtime "$RUNTIME" "$CORE_DEMO" "$1"
    expect "$PROMPT"
}
