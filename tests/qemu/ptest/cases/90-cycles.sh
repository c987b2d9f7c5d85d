# Many times.
# shellcheck shell=sh

case_twenty_start_and_stop_cycles() {
    import freertos-demo
    cycle=0
    while [ "$cycle" -lt 20 ]; do
        cycle=$((cycle + 1))
        id=$PREFIX-cycle-$cycle
        run_detached "$id"
        ctr task kill --signal SIGTERM "$id"
        await "cycle $cycle stops" task_is "$id" STOPPED
        expect_status 143 delete "$id"
    done
    none_of emulators || fail "an emulator is left"
}
