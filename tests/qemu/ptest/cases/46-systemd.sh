# Cgroups that systemd makes, as scopes (systemd.scope(5)).
# shellcheck shell=sh

scope_is() { [ "$(property "$1" ActiveState)" = "$2" ]; }

# cgroup_holds SCOPE PID - whether a process is in a scope, or in a cgroup below it.
cgroup_holds() { grep -qE "^0::/ptest\.slice/$1(/|\$)" "/proc/$2/cgroup"; }

case_systemd_makes_the_scope_of_a_linux_container() {
    needs_systemd
    busybox_root "$WORK/rootfs"
    scope=ptest-linux.scope
    run_linux --detach --cgroup ptest.slice:ptest:linux --memory-limit 16777216 \
        "$WORK/rootfs" "$PREFIX-scope" /bin/busybox sleep 1000
    scope_is "$scope" active || fail "$scope is $(property "$scope" ActiveState)"
    equal "$(property "$scope" MemoryMax)" 16777216 "systemd's MemoryMax"
    systemctl daemon-reload
    equal "$(cat "/sys/fs/cgroup/ptest.slice/$scope/memory.max")" 16777216 "memory.max"
    pid=$(ctr task ls | awk -v id="$PREFIX-scope" '$1 == id { print $2 }')
    cgroup_holds "$scope" "$pid" || fail "the container is in $(cat "/proc/$pid/cgroup")"
    open_console ctr task exec --exec-id one "$PREFIX-scope" /bin/busybox cat
    send inside
    expect inside
    ctr task ps "$PREFIX-scope" | awk '$1 ~ /^[0-9]/ { print $1 }' >"$WORK/pids"
    equal "$(count cat "$WORK/pids")" 2 "the number of its processes"
    while read -r pid; do cgroup_holds "$scope" "$pid" || fail "$pid is in $(cat "/proc/$pid/cgroup")"; done <"$WORK/pids"
    ctr task metrics "$PREFIX-scope" >"$WORK/metrics"
    grep -q '^memory.usage *[1-9]' "$WORK/metrics" || fail "no memory in use: $(cat "$WORK/metrics")"
    grep -q '^pids.current *2 *$' "$WORK/metrics" || fail "not two processes: $(cat "$WORK/metrics")"
    ctr task kill --signal SIGKILL "$PREFIX-scope"
    close_console || true
    await "the task stops" task_is "$PREFIX-scope" STOPPED
    expect_status 137 delete "$PREFIX-scope"
    await "the scope ends" scope_is "$scope" inactive
}

# systemd removes the cgroup as soon as it is empty, whether or not the shim has read what happened in it.
# The shim's log is containerd's, which comes to the journal by and by.
journal_has() {
    journalctl --unit containerd --boot --quiet --grep "$1" >"$WORK/journal"
}

case_systemd_scope_that_runs_out_of_memory_is_told() {
    needs_systemd
    busybox_root "$WORK/rootfs"
    run_linux --detach --cgroup ptest.slice:ptest:linux --memory-limit 16777216 "$WORK/rootfs" "$PREFIX-scope" \
        /bin/busybox sh -c 'b=/bin/busybox; until [ -e /go ]; do $b sleep 0.1; done; exec $b dd if=/dev/zero of=/dev/null bs=64M count=1'
    kill -STOP "$(shims)"
    : >"$WORK/rootfs/go"
    await "the scope ends" scope_is ptest-linux.scope inactive
    kill -CONT "$(shims)"
    await "the task stops" task_is "$PREFIX-scope" STOPPED
    expect_status 137 delete "$PREFIX-scope"
    await "the shim has noticed" journal_has "$PREFIX-scope is out of memory"
}

# run_in_scope [OPTION]... - runs firmware in a scope.
run_in_scope() {
    import freertos-demo
    : >"$WORK/used"
    ctr run --detach --runtime "$RUNTIME" --cgroup ptest.slice:ptest:firmware --memory-limit 67108864 "$@" \
        "$DEMO" "$PREFIX-scope"
    scope=ptest-firmware.scope
}

case_systemd_leaves_the_limits_of_firmware_alone() {
    needs_systemd
    run_in_scope
    scope_is "$scope" active || fail "$scope is $(property "$scope" ActiveState)"
    group=/sys/fs/cgroup/ptest.slice/$scope/container
    # 64 MB of the machine's own, and what QEMU itself needs.
    limit=$(((64 + 128) * 1024 * 1024))
    equal "$(cat "$group/memory.max")" "$limit" "memory.max"
    # Both arrange the slice anew.
    systemctl daemon-reload
    systemd-run --quiet --wait --slice ptest.slice true
    equal "$(cat "$group/memory.max")" "$limit" "memory.max after systemd was at it"
    equal "$(cat "$group/cgroup.procs")" "$(emulators)" "what lives in the container's cgroup"
    ctr task kill --signal SIGKILL "$PREFIX-scope"
    await "the task stops" task_is "$PREFIX-scope" STOPPED
    expect_status 137 delete "$PREFIX-scope"
    scope_is "$scope" inactive || fail "$scope is $(property "$scope" ActiveState) after the container's removal"
    # Its name is free again.
    run_in_scope
}

case_systemd_scope_of_firmware_ends_after_a_killed_shim() {
    needs_systemd
    # containerd forgets the task, and ctr does not remove the fifos of one that it does not find.
    run_in_scope --null-io
    kill -9 "$(shims)"
    await "the scope ends" scope_is "$scope" inactive
    await "the emulator ends" none_of emulators
}
