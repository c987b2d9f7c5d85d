# The cases of a core with firmware as openEuler's: it calls Linux by software generated interrupt 7, and says nothing
# before it has learnt where Linux's end is. Its demo is otherwise the same.
# shellcheck shell=sh source-path=SCRIPTDIR source=85-core.sh
. "${here:?}/cases/85-core.sh"

# in_dialect CASE - the case, with that firmware.
in_dialect() {
    core_firmware freertos-mica
    "case_core_$1"
}

# Nobody types anything.
case_mica_banner_is_in_the_log() {
    core_firmware freertos-mica
    needs_core
    : >"$WORK/used"
    import freertos-mica
    ctr run --detach --log-uri "file://$WORK/log" --runtime "$RUNTIME" "$CORE_DEMO" "$PREFIX-core"
    await "the firmware shows its prompt" grep -q "^$PROMPT" "$WORK/log"
    equal "$(head -n 1 "$WORK/log" | tr -d '\r')" "$BANNER" "the log's first line"
}

case_mica_console_begins_with_the_first_byte() { in_dialect console_begins_with_the_first_byte; }
case_mica_console_loses_nothing_of_a_flood() { in_dialect console_loses_nothing_of_a_flood; }
case_mica_executes_a_command_beside_its_console() { in_dialect executes_a_command_beside_its_console; }
case_mica_exit_7_is_7() { in_dialect exit_7_is_7; }
case_mica_crash_is_a_memory_fault() { in_dialect crash_is_a_memory_fault; }
case_mica_is_off_after_sigterm() { in_dialect is_off_after_sigterm; }
case_mica_is_off_under_spinning_firmware() { in_dialect is_off_under_spinning_firmware; }
case_mica_pauses_and_resumes() { in_dialect pauses_and_resumes; }
case_mica_survives_a_restart_of_containerd() { in_dialect survives_a_restart_of_containerd; }
case_mica_survives_a_restart_of_micad() { in_dialect survives_a_restart_of_micad; }
