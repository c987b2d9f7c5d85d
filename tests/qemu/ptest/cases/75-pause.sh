# A paused firmware stands still.
# shellcheck shell=sh

case_pause_and_resume() {
    run_demo "$PREFIX-pause"
    ctr task pause "$PREFIX-pause"
    equal "$(task_state "$PREFIX-pause")" PAUSED "the task's state"
    send 'echo heard while asleep'
    # It cannot answer; a second is more than it needs when awake.
    sleep 1
    ! grep -q '^heard while asleep' "$WORK/out" || fail "a paused firmware answered"
    ctr task resume "$PREFIX-pause"
    equal "$(task_state "$PREFIX-pause")" RUNNING "the task's state"
    expect '^heard while asleep'
}
