# Many times. On a core of its own where there is one: starting is quick there.
# shellcheck shell=sh

case_twenty_start_and_stop_cycles() {
    if [ -n "$(remoteproc)" ]; then
        needs_core
        image=$CORE_DEMO
        import freertos-spare-core
    else
        image=$DEMO
        import freertos-demo
    fi
    cycle=0
    while [ "$cycle" -lt 20 ]; do
        cycle=$((cycle + 1))
        open_console ctr run --rm --runtime "$RUNTIME" "$image" "$PREFIX-cycle-$cycle"
        expect "$PROMPT"
        equal "$(head -n 1 "$WORK/out" | tr -d '\r')" "$BANNER" "the console's first line in cycle $cycle"
        # Not to ctr: until Start has answered it ends by the signal instead of passing it on, and the prompt may be earlier.
        ctr task kill --signal SIGTERM "$PREFIX-cycle-$cycle"
        expect_status 143 close_console
        none_of emulators || fail "an emulator is left after cycle $cycle"
        [ -z "${core:-}" ] || core_attribute_is state offline || fail "the core is not off after cycle $cycle"
    done
    [ -z "${core:-}" ] || all_agree none GONE
}
