# The console is the container's stdio, in both directions and from the first byte on.
# shellcheck shell=sh

case_console_works_both_ways_from_the_first_byte() {
    run_demo "$PREFIX-first"
    equal "$(head -n 1 "$WORK/out" | tr -d '\r')" "$BANNER" "the console's first line"
    equal "$(head -c 6 "$WORK/out")" micrun "the console's first bytes"
    send 'echo there and back'
    # What the shell prints, not its echo of what was typed.
    expect '^there and back'
    send uname
    expect 'FreeRTOS V11'
}

# Few lines: an emulator within an emulator is slow.
case_console_loses_nothing_of_a_flood() {
    run_demo "$PREFIX-flood"
    flood_is_complete 200
}
