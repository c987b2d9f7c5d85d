# Stopping stops: the task's status is the signal's, and nothing runs any more.
# shellcheck shell=sh

# Signals a detached demo; it ends with a status.
signal_ends_with() {
    import freertos-demo
    run_detached "$PREFIX-stop"
    ctr task kill --signal "$2" "$PREFIX-stop"
    await "the task stops" task_is "$PREFIX-stop" STOPPED
    none_of emulators || fail "the task is stopped and an emulator runs"
    expect_status "$1" delete "$PREFIX-stop"
}

case_sigterm_stops_with_143() { signal_ends_with 143 SIGTERM; }

case_sigkill_stops_with_137() { signal_ends_with 137 SIGKILL; }

case_spinning_firmware_is_stopped() {
    run_demo "$PREFIX-spin"
    send spin
    expect 'spinning with interrupts masked'
    ctr task kill --signal SIGKILL "$PREFIX-spin"
    expect_status 137 close_console
    await "no emulator is left" none_of emulators
}

case_dead_emulator_ends_the_container() {
    run_demo "$PREFIX-dead"
    kill -KILL "$(emulators)"
    expect_status 137 close_console
}
