# What the lanes that build share: results with their times, and commands in bitbake's environment. Sourced.
# shellcheck shell=bash

passed=0 failed=0 skipped=0

# result STATUS NAME [REASON]
result() {
    case $1 in
        PASS) passed=$((passed + 1)) ;;
        FAIL) failed=$((failed + 1)) ;;
        SKIP) skipped=$((skipped + 1)) ;;
    esac
    echo "$1: $2${3:+ ($3)}"
}

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    ((failed == 0))
    exit
}

# in_build COMMAND - a shell command in bitbake's environment, as the build user.
in_build() { (cd "$WORK/micrun" && as_builder kas shell "$KAS_FILE" --command "$1"); }

# timed NAME COMMAND... - a result, with its log in the work directory and its time.
timed() {
    local name=$1 started=$SECONDS
    shift
    # Not within the condition, where bash would go on after what fails.
    "$@" >"$WORK/$name.log" 2>&1 &
    if wait $!; then
        result PASS "$name" "$((SECONDS - started)) s"
    else
        result FAIL "$name" "$WORK/$name.log"
        grep -E '^(ERROR|E:|fatal:|prebuilt:)|Error|cannot' "$WORK/$name.log" | cut -c1-400 | head -n 20 || true
        finish
    fi
}
