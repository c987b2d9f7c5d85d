# Linux containers under the same shim, beside firmware and in one pod with it.
# shellcheck shell=sh

case_linux_container_tells_its_output_and_status() {
    busybox_root "$WORK/rootfs"
    expect_status 5 run_linux --rm "$WORK/rootfs" "$PREFIX-linux" /bin/busybox sh -c 'echo from Linux; exit 5' \
        >"$WORK/out"
    equal "$(head -n 1 "$WORK/out")" 'from Linux' "the container's output"
    equal "$(count shims)" 0 "the number of shims"
}

case_linux_container_is_executed_in_measured_and_killed() {
    busybox_root "$WORK/rootfs"
    run_linux --detach --memory-limit 16777216 "$WORK/rootfs" "$PREFIX-linux" /bin/busybox sleep 1000
    equal "$(ctr task exec --exec-id one "$PREFIX-linux" /bin/busybox echo inside)" inside "what exec printed"
    ctr task metrics "$PREFIX-linux" >"$WORK/out"
    grep -q '^memory.usage_in_bytes *[1-9]\|^memory.usage *[1-9]' "$WORK/out" || fail "no memory in use: $(cat "$WORK/out")"
    equal "$(cat /sys/fs/cgroup/default/"$PREFIX-linux"/memory.max)" 16777216 "memory.max"
    ctr task kill --signal SIGKILL "$PREFIX-linux"
    await "the task stops" task_is "$PREFIX-linux" STOPPED
    expect_status 137 delete "$PREFIX-linux"
}

# One shim for a sandbox, a Linux container and firmware, as CRI asks for it.
case_pod_of_linux_and_firmware_has_one_shim() {
    busybox_root "$WORK/rootfs"
    import freertos-demo
    pod=io.kubernetes.cri.sandbox-id=$PREFIX-pod
    role=io.kubernetes.cri.container-type
    run_linux --detach --annotation "$pod" --annotation "$role=sandbox" \
        "$WORK/rootfs" "$PREFIX-pod" /bin/busybox sleep 1000
    run_linux --detach --annotation "$pod" --annotation "$role=container" \
        "$WORK/rootfs" "$PREFIX-side" /bin/busybox sleep 1000
    ctr run --detach --runtime "$RUNTIME" --annotation "$pod" --annotation "$role=container" "$DEMO" "$PREFIX-rtos"
    equal "$(count shims)" 1 "the number of shims"
    equal "$(count emulators)" 1 "the number of emulators"
    # The sandbox's end is the end of all.
    ctr task kill --signal SIGKILL "$PREFIX-pod"
    for id in pod side rtos; do
        await "$id stops" task_is "$PREFIX-$id" STOPPED
        expect_status 137 delete "$PREFIX-$id"
    done
    await "the shim ends" none_of shims
}

case_emulator_lives_within_the_limits_of_its_container() {
    import freertos-demo
    : >"$WORK/used"
    ctr run --detach --runtime "$RUNTIME" --memory-limit 67108864 "$DEMO" "$PREFIX-limits"
    group=/sys/fs/cgroup/default/$PREFIX-limits
    equal "$(cat "$group/cgroup.procs")" "$(emulators)" "what lives in the container's cgroup"
    # 64 MB of the machine's own, and what QEMU itself needs.
    equal "$(cat "$group/memory.max")" $(((64 + 128) * 1024 * 1024)) "memory.max"
    ctr task metrics "$PREFIX-limits" >"$WORK/out"
    grep -q '^memory.usage_in_bytes *[1-9]\|^memory.usage *[1-9]' "$WORK/out" || fail "no memory in use: $(cat "$WORK/out")"
}
