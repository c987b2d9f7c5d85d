# Firmware that is changed while it runs: the message of `uname`, the limit of `exit`. Its clock goes on.
# shellcheck shell=sh

# The ticks that the last `uptime` has told.
ticks() { tr -d '\r' <"$WORK/out" | sed -n 's/^up .* s, \([0-9]*\) ticks.*/\1/p' | tail -n 1; }

# answers MARK MESSAGE LIMIT - the open console's demo has this message and this limit; MARK is a word not used before.
answers() {
    send uname
    expect "^FreeRTOS .* $2"
    send 'exit none'
    expect "give a number from 0 to $3"
    send uptime
    send "echo $1"
    expect "^$1"
}

# patch_runs ID FIRMWARE - the open console's demo becomes the other one, and back.
patch_runs() {
    [ -e "$SHARE/firmware/$2-patched.elf" ] || skip "no second firmware in $SHARE/firmware"
    answers before micrun-demo 255
    before=$(ticks)
    mica patch "$1" "$SHARE/firmware/$2-patched.elf" | tee "$WORK/said"
    grep -q '^patched to sha256:.* in a pause of [0-9]* us' "$WORK/said" || fail "the patch is not reported"
    answers after patched-one ' 99'
    [ "$(ticks)" -ge "$before" ] || fail "its clock has begun anew"
    mica list --json | grep -q '"patched" *: *"sha256:' || fail "nobody tells that it is patched"
    mica patch "$1" "$SHARE/firmware/$2.elf"
    : >"$WORK/out"
    answers again micrun-demo 255
    send 'exit 7'
    expect_status 7 close_console
}

case_patch_of_a_machine() {
    run_demo "$PREFIX-patch"
    patch_runs "$PREFIX-patch" freertos-demo
}

case_patch_of_a_core() {
    needs_core
    run_on_core "$PREFIX-core"
    if ! has_monitor; then
        other="$SHARE/firmware/freertos-spare-core-patched.elf"
        ! mica patch "$PREFIX-core" "$other" 2>"$WORK/patch.err" || fail "nothing can hold it, and it was patched"
        cat "$WORK/patch.err"
        grep -q 'no monitor watches over the core' "$WORK/patch.err" || fail "the refusal does not say why"
        answers before micrun-demo 255
        return
    fi
    patch_runs "$PREFIX-core" freertos-spare-core
    all_agree "$PREFIX-core" GONE
}
