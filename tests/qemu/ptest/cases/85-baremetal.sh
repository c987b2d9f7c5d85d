# Firmware on a core of its own.
# shellcheck shell=sh

# Skips the case where there is no remote processor for it, or a daemon that does not know what to do with one.
needs_baremetal() {
    [ -n "$(ls /sys/class/remoteproc 2>/dev/null)" ] || skip "no remote processor in /sys/class/remoteproc"
    mica version --json | grep -q '"baremetal"' || skip "this micad has no baremetal pedestal"
    [ -e "$SHARE/images/freertos-spare-core.tar" ] || skip "no image for a remote processor in $SHARE/images"
}

remoteproc_state() { cat /sys/class/remoteproc/remoteproc0/state; }
remoteproc_is() { [ "$(remoteproc_state)" = "$1" ]; }

# A console on the rpmsg demo that has come to its prompt.
run_on_core() {
    import freertos-spare-core
    open_console ctr run --rm --runtime "$RUNTIME" localhost/micrun/freertos-spare-core:1 "$1"
    expect "$PROMPT"
}

case_baremetal_core_is_off_before() {
    needs_baremetal
    equal "$(remoteproc_state)" offline "the state of remoteproc0"
}

case_baremetal_firmware_answers() {
    needs_baremetal
    run_on_core "$PREFIX-core"
    equal "$(remoteproc_state)" running "the state of remoteproc0"
    equal "$(task_state "$PREFIX-core")" RUNNING "the task's state"
    none_of emulators || fail "an emulator runs"
    send 'echo on a core of its own'
    expect '^on a core of its own'
}

case_baremetal_exit_status() {
    needs_baremetal
    run_on_core "$PREFIX-core"
    send 'exit 7'
    expect_status 7 close_console
    await "the core is off" remoteproc_is offline
}

case_baremetal_core_is_off_after_stop() {
    needs_baremetal
    run_on_core "$PREFIX-core"
    ctr task kill --signal SIGTERM "$PREFIX-core"
    expect_status 143 close_console
    equal "$(remoteproc_state)" offline "the state of remoteproc0"
}
