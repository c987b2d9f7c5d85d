# Firmware on the qemu pedestal: from start to the agreement of all who know about it.
# shellcheck shell=sh

case_firmware_runs_to_its_end() {
    import hello
    ctr run --rm --runtime "$RUNTIME" "$HELLO" "$PREFIX-hello" >"$WORK/out"
    equal "$(tr -d '\r' <"$WORK/out")" 'hello from bare metal' "the console"
}

case_all_agree_that_firmware_runs() {
    import freertos-demo
    run_detached "$PREFIX-agree"
    equal "$(task_state "$PREFIX-agree")" RUNNING "the task's state"
    equal "$(count emulators)" 1 "the number of emulators"
    equal "$(count shims)" 1 "the number of shims"
    mica list | tee "$WORK/list"
    grep -qi running "$WORK/list" || fail "mica list shows no running client"
    # Not root's: a user of its own, and no privilege.
    [ "$(stat -c %u "/proc/$(emulators)")" != 0 ] || fail "the emulator runs as root"
    grep -q '^CapEff:[[:space:]]*0*$' "/proc/$(emulators)/status" || fail "the emulator has capabilities"
}

# Firmware in an emulator, firmware on a core if there is one, and an ordinary container.
case_all_kinds_run_beside_each_other() {
    busybox_root "$WORK/rootfs"
    import freertos-demo
    run_detached "$PREFIX-emulated"
    [ -z "$(remoteproc)" ] || { needs_core && run_detached_on_core "$PREFIX-core"; }
    expect_status 5 ctr run --rm --runc-binary crun --rootfs "$WORK/rootfs" "$PREFIX-linux" \
        /bin/busybox sh -c 'echo from Linux; exit 5'
    equal "$(task_state "$PREFIX-emulated")" RUNNING "the state of the emulated firmware"
    equal "$(count emulators)" 1 "the number of emulators"
    [ -z "${core:-}" ] || equal "$(task_state "$PREFIX-core")" RUNNING "the state of the firmware on the core"
}
