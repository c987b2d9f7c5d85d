# The daemons restart under a running firmware, which does not notice.
# shellcheck shell=sh

# restart_under SERVICE ANSWERS ID - restarts a daemon under a detached demo; emulator and state stay.
restart_under() {
    import freertos-demo
    run_detached "$3"
    emulator=$(emulators)
    systemctl restart "$1"
    await "$1 answers" "$2"
    equal "$(emulators)" "$emulator" "the emulator after the restart"
    equal "$(task_state "$3")" RUNNING "the task's state"
    open_console ctr task attach "$3"
    send 'echo after the restart'
    expect '^after the restart'
    send 'exit 7'
    expect_status 7 close_console
}

case_containerd_restarts_under_firmware() { restart_under containerd containerd_answers "$PREFIX-containerd"; }

case_micad_restarts_under_firmware() { restart_under micad micad_answers "$PREFIX-micad"; }
