# Firmware of others on a core of its own, if the system was assembled with it (MICRUN_ZEPHYR_ELF, MICRUN_UNIPROTON_ELF): what
# holds for all that have a shell on their console.
# shellcheck shell=sh

# The console's text, without the sequences by which shells draw their line.
shown() { tr -d '\r' <"$1" | sed "s/$(printf '\033')\[[0-9;]*[A-Za-z]//g"; }
shows() { shown "$1" | grep -q -- "$2"; }

# foreign NAME COMMAND ANSWER - a console on it that has answered a command.
foreign() {
    core_firmware "$1"
    needs_core
    import "$1"
    open_console ctr run --rm --runtime "$RUNTIME" "$CORE_DEMO" "$PREFIX-foreign"
    await "the firmware shows something" test -s "$WORK/out"
    send "$2"
    await "the firmware answers $2" shows "$WORK/out" "$3"
    all_agree "$PREFIX-foreign" RUNNING
}

zephyr() { foreign zephyr 'kernel version' 'Zephyr version'; }
uniproton() { foreign uniproton help support; }

# stops FIRMWARE - by the request to stop, many times.
stops() {
    cycle=0
    while [ "$cycle" -lt 20 ]; do
        cycle=$((cycle + 1))
        "$1"
        ctr task kill --signal SIGTERM "$PREFIX-foreign"
        expect_status 143 close_console
        all_agree "$PREFIX-foreign" GONE
    done
}

# dies_while_busy FIRMWARE - in the middle of its output.
dies_while_busy() {
    "$1"
    busy=0
    while [ "$busy" -lt 8 ]; do
        busy=$((busy + 1))
        send help
    done
    ctr task kill --signal SIGKILL "$PREFIX-foreign"
    expect_status 137 close_console
    all_agree "$PREFIX-foreign" GONE
}

# speaks_into_the_log NAME TEXT - with nobody there who types.
speaks_into_the_log() {
    core_firmware "$1"
    needs_core
    : >"$WORK/used"
    import "$1"
    ctr run --detach --log-uri "file://$WORK/log" --runtime "$RUNTIME" "$CORE_DEMO" "$PREFIX-foreign"
    await "$2 is in the log" shows "$WORK/log" "$2"
}

# executes NAME PROMPT COMMAND ANSWER - beside a log, by borrowing the console.
executes() {
    core_firmware "$1"
    needs_core
    : >"$WORK/used"
    import "$1"
    ctr run --detach --log-uri "file://$WORK/log" --annotation "org.openeuler.micrun.container.shell_prompt=$2" \
        --runtime "$RUNTIME" "$CORE_DEMO" "$PREFIX-foreign"
    ctr task exec --exec-id one "$PREFIX-foreign" "$3" >"$WORK/answer"
    shows "$WORK/answer" "$4" || fail "the command printed: $(cat "$WORK/answer")"
    shows "$WORK/log" "$4" || fail "the log has no copy of what the command printed"
}

case_zephyr_executes_a_command() { executes zephyr 'uart:~$' 'kernel version' 'Zephyr version'; }
case_zephyr_speaks_into_the_log() { speaks_into_the_log zephyr '[$] '; }
case_zephyr_stops_and_starts() { stops zephyr; }
case_zephyr_dies_while_busy() { dies_while_busy zephyr; }
case_uniproton_speaks_into_the_log() { speaks_into_the_log uniproton '[#$>] '; }
case_uniproton_stops_and_starts() { stops uniproton; }
case_uniproton_dies_while_busy() { dies_while_busy uniproton; }
