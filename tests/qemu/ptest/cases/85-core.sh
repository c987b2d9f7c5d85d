# Firmware on a core of its own. At each step all who know about it tell the same.
# shellcheck shell=sh

case_core_is_off_before() {
    needs_core
    all_agree none GONE
}

case_core_console_begins_with_the_first_byte() {
    needs_core
    run_on_core "$PREFIX-core"
    equal "$(head -n 1 "$WORK/out" | tr -d '\r')" "$BANNER" "the console's first line"
    equal "$(head -c 6 "$WORK/out")" micrun "the console's first bytes"
    all_agree "$PREFIX-core" RUNNING
    send 'echo there and back'
    expect '^there and back'
    send 'exit 0'
    expect_status 0 close_console
    all_agree "$PREFIX-core" GONE
}

case_core_console_loses_nothing_of_a_flood() {
    needs_core
    run_on_core "$PREFIX-core"
    flood_is_complete 2000
}

# The second shell is an rpmsg endpoint of its own.
case_core_executes_a_command_beside_its_console() {
    needs_core
    import "$CORE_FIRMWARE"
    open_console ctr run --rm --runtime "$RUNTIME" \
        --annotation 'org.openeuler.micrun.container.shell_prompt=micrun>' "$CORE_DEMO" "$PREFIX-core"
    expect "$PROMPT"
    equal "$(ctr task exec --exec-id one "$PREFIX-core" echo a b | tr -d '\r')" 'a b' "what exec printed"
    expect_status 127 ctr task exec --exec-id two "$PREFIX-core" nonsense
    send 'echo undisturbed'
    expect '^undisturbed'
    send 'exit 0'
    expect_status 0 close_console
}

case_core_exit_7_is_7() {
    needs_core
    run_on_core "$PREFIX-core"
    send 'exit 7'
    expect_status 7 close_console
    all_agree "$PREFIX-core" GONE
}

case_core_crash_is_a_memory_fault() {
    needs_core
    run_on_core "$PREFIX-core"
    send crash
    expect_status 139 close_console
    grep -q '^fault: data abort' "$WORK/out" || fail "the firmware's last words are missing"
    all_agree "$PREFIX-core" CRASHED
}

# gdb opens it: the memory of the core, and the registers with which the firmware has switched it off.
case_core_leaves_a_core_of_a_crash() {
    needs_core
    run_on_core "$PREFIX-core"
    has_monitor || skip "the core starts at EL1: nothing tells the registers of its firmware"
    mica set "$PREFIX-core" Coredump fault
    send crash
    expect_status 139 close_console
    mica why "$PREFIX-core" | tee "$WORK/why"
    grep -q '^at  *0x[0-9a-f]*, in [a-z_]*+0x' "$WORK/why" || fail "nobody tells where the firmware was"
    mica core "$PREFIX-core" --output "$WORK/core"
    equal "$(head -c 4 "$WORK/core" | tail -c 3)" ELF "the first bytes of the core"
    mica core "$PREFIX-core" --remove
    all_agree "$PREFIX-core" CRASHED
}

case_core_ends_when_its_heart_stops() {
    needs_core
    run_on_core "$PREFIX-core"
    has_monitor || skip "the core starts at EL1: nothing can end its firmware by force"
    mica set "$PREFIX-core" Watchdog heartbeat:1s
    send spin
    # Its timer's interrupt, from which it beats, is masked.
    expect_status 137 close_console
    mica why "$PREFIX-core" | tee "$WORK/why"
    grep -q 'its watchdog has seen no heartbeat for 1s' "$WORK/why" || fail "the watchdog does not say why"
    all_agree "$PREFIX-core" GONE
}

has_trace() { mica status "$1" | grep -q 'trace0('; }

# Into its trace buffer the firmware writes what it says when nothing else works any more.
case_core_trace_buffer_is_a_stream() {
    needs_core
    import "$CORE_FIRMWARE"
    open_console ctr run --rm --runtime "$RUNTIME" \
        --annotation 'org.openeuler.micrun.container.stderr=trace0' "$CORE_DEMO" "$PREFIX-core"
    expect "$PROMPT"
    # The firmware may speak before micad has found it.
    await "the trace buffer has a stream" has_trace "$PREFIX-core"
    send crash
    expect_status 139 close_console
    grep -q '^fault: data abort' "$WORK/err" || fail "stderr has no last words: $(cat "$WORK/err")"
}

case_core_is_off_after_sigterm() {
    needs_core
    run_detached_on_core "$PREFIX-core"
    all_agree "$PREFIX-core" RUNNING
    ctr task kill --signal SIGTERM "$PREFIX-core"
    await "the task stops" task_is "$PREFIX-core" STOPPED
    all_agree "$PREFIX-core" STOPPED
    expect_status 143 delete "$PREFIX-core"
    all_agree "$PREFIX-core" GONE
}

# With interrupts masked it does not hear that it is to stop.
case_core_is_off_under_spinning_firmware() {
    needs_core
    run_on_core "$PREFIX-core"
    has_monitor || skip "the core starts at EL1: nothing can end its firmware by force"
    send spin
    expect 'spinning with interrupts masked'
    ctr task kill --signal SIGTERM "$PREFIX-core"
    expect_status 143 close_console
    all_agree "$PREFIX-core" GONE
}

case_core_pauses_and_resumes() {
    needs_core
    run_on_core "$PREFIX-core"
    if ! has_monitor; then
        ! ctr task pause "$PREFIX-core" 2>"$WORK/pause.err" || fail "nothing can pause it, and pausing succeeded"
        cat "$WORK/pause.err"
        grep -qi monitor "$WORK/pause.err" || fail "the refusal does not say why"
        all_agree "$PREFIX-core" RUNNING
        return
    fi
    ctr task pause "$PREFIX-core"
    all_agree "$PREFIX-core" PAUSED
    send 'echo heard while asleep'
    # It cannot answer; a second is more than it needs when awake.
    sleep 1
    ! grep -q '^heard while asleep' "$WORK/out" || fail "paused firmware answered"
    ctr task resume "$PREFIX-core"
    all_agree "$PREFIX-core" RUNNING
    expect '^heard while asleep'
}

# What gdb says when it connects, looks around and goes.
case_core_shows_gdb_registers_and_memory() {
    needs_core
    run_on_core "$PREFIX-core"
    has_monitor || skip "the core starts at EL1: nothing can hold its firmware"
    printf '%s' '$?#3f$g#67$m7a000000,4#85$D#44' | mica gdb-stub "$PREFIX-core" "$(readlink -f "$core/device")" >"$WORK/gdb"
    tr '$' '\n' <"$WORK/gdb" | sed 's/#.*//' >"$WORK/answers"
    # Stopped; 33 registers of 8 bytes and one of 4; four bytes; let go.
    equal "$(sed -n 2p "$WORK/answers")" S05 "why it is stopped"
    equal "$(sed -n 3p "$WORK/answers" | tr -d '\n' | wc -c)" 536 "the digits of its registers"
    equal "$(sed -n 4p "$WORK/answers" | tr -d '\n' | wc -c)" 8 "the digits of its memory"
    equal "$(sed -n 5p "$WORK/answers")" OK "the last answer"
    all_agree "$PREFIX-core" RUNNING
    send 'echo it went on'
    expect '^it went on'
}

# The monitor holds the core for a moment, and the firmware goes on.
case_core_tells_where_its_firmware_is() {
    needs_core
    run_on_core "$PREFIX-core"
    has_monitor || skip "the core starts at EL1: nothing can hold its firmware"
    mica diagnose "$PREFIX-core" | tee "$WORK/seen"
    grep -q 'its processor waits for an interrupt at 0x[0-9a-f]*, in [a-zA-Z_]*+0x[0-9a-f]* (EL1' "$WORK/seen" ||
        fail "an idle firmware is not seen to wait"
    all_agree "$PREFIX-core" RUNNING
    send 'echo it went on'
    expect '^it went on'
    send spin
    expect 'spinning with interrupts masked'
    mica diagnose "$PREFIX-core" | tee "$WORK/seen"
    grep -q 'its processor is at 0x[0-9a-f]*, in .*(EL1., interrupts masked)' "$WORK/seen" ||
        fail "a firmware that spins is not seen"
}

case_core_has_one_container() {
    needs_core
    run_detached_on_core "$PREFIX-core"
    status=0
    ctr run --rm --runtime "$RUNTIME" "$CORE_DEMO" "$PREFIX-second" >"$WORK/out" 2>"$WORK/second.err" || status=$?
    [ "$status" != 0 ] || fail "two containers run on one core"
    cat "$WORK/second.err"
    grep -q "$PREFIX-core" "$WORK/second.err" || fail "the refusal does not name the container that has the core"
    # What could not be started is over, so that ctr can take it away.
    ! ctr container ls -q | grep -qx "$PREFIX-second" || fail "ctr could not take away what did not start"
    all_agree "$PREFIX-core" RUNNING
}

# The daemons restart under running firmware, which does not notice.
core_survives_restart_of() {
    needs_core
    run_detached_on_core "$PREFIX-core"
    systemctl restart "$1"
    await "$1 answers" "$2"
    all_agree "$PREFIX-core" RUNNING
    open_console ctr task attach "$PREFIX-core"
    send 'echo after the restart'
    expect '^after the restart'
    send 'exit 7'
    # Attached, ctr deletes the task once it has ended.
    expect_status 7 close_console
    all_agree "$PREFIX-core" GONE
}

case_core_survives_a_restart_of_containerd() { core_survives_restart_of containerd containerd_answers; }

case_core_survives_a_restart_of_micad() { core_survives_restart_of micad micad_answers; }
