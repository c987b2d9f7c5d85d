# The firmware's exit status is the container's.
# shellcheck shell=sh

# Runs one shell command of the demo, which ends the firmware with a status.
ends_with() {
    run_demo "$PREFIX-exit"
    send "$2"
    expect_status "$1" close_console
    await "no emulator is left" none_of emulators
}

case_exit_7_is_7() { ends_with 7 'exit 7'; }

case_crash_is_a_memory_fault() { ends_with 139 crash; }
