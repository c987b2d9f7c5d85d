# The console is the container's stdio, in both directions and from the first byte on.
# shellcheck shell=sh

case_console_begins_with_the_first_byte() {
    run_demo "$PREFIX-first"
    equal "$(head -n 1 "$WORK/out" | tr -d '\r')" "$BANNER" "the console's first line"
    equal "$(head -c 6 "$WORK/out")" micrun "the console's first bytes"
}

case_console_answers() {
    run_demo "$PREFIX-answers"
    send 'echo there and back'
    # What the shell prints, not its echo of what was typed.
    expect '^there and back'
    send uname
    expect 'FreeRTOS V11'
}

case_console_loses_nothing_of_a_flood() {
    lines=2000
    run_demo "$PREFIX-flood"
    send "flood $lines"
    expect "^flood $(printf %010d "$lines") the .* dog"
    tr -d '\r' <"$WORK/out" | sed -n 's/^flood \([0-9]\{10\}\) the quick brown fox jumps over the lazy dog$/\1/p' \
        >"$WORK/seen"
    awk -v lines="$lines" 'BEGIN { for (i = 1; i <= lines; i++) printf "%010d\n", i }' >"$WORK/expected"
    cmp "$WORK/seen" "$WORK/expected"
}
