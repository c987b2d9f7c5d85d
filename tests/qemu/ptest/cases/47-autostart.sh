# Firmware that starts at boot, by a unit of its own (MICRUN_AUTOSTART).
# shellcheck shell=sh

UNIT=firmware-sensor.service

needs_autostart() {
    needs_systemd
    systemctl cat "$UNIT" >"$WORK/unit" 2>&1 || skip "there is no $UNIT in this system"
}

# The unit's console since it was last started.
unit_showed() {
    journalctl "_SYSTEMD_INVOCATION_ID=$(property "$UNIT" InvocationID)" --boot --quiet --output cat >"$WORK/journal"
    grep -q -- "$1" "$WORK/journal"
}

pid_of_sensor() { ctr task ls | awk '$1 == "sensor" && $3 == "RUNNING" { print $2 }'; }
pid_of_sensor_is_known() { [ -n "$(pid_of_sensor)" ]; }
has_another_pid() {
    now=$(pid_of_sensor)
    [ -n "$now" ] && [ "$now" != "$pid" ]
}

case_autostart_unit_is_enabled() {
    needs_autostart
    equal "$(systemctl is-enabled "$UNIT")" enabled "the unit's state"
}

case_autostart_console_is_in_the_journal() {
    needs_autostart
    systemctl start "$UNIT"
    await "the banner in the journal" unit_showed "$BANNER"
    task_is sensor RUNNING || fail "the task is $(task_state sensor)"
    systemctl stop "$UNIT"
    equal "$(property "$UNIT" ActiveState)" inactive "the unit's state after its stop"
    ctr container ls -q >"$WORK/containers"
    ! grep -qx sensor "$WORK/containers" || fail "the container is left"
    await "the emulator ends" none_of emulators
}

case_autostart_firmware_outlives_containerd() {
    needs_autostart
    systemctl start "$UNIT"
    await "the firmware runs" pid_of_sensor_is_known
    pid=$(pid_of_sensor) invocation=$(property "$UNIT" InvocationID)
    systemctl restart containerd
    await "containerd answers" containerd_answers
    equal "$(pid_of_sensor)" "$pid" "the firmware's process"
    equal "$(property "$UNIT" InvocationID)" "$invocation" "the run of the unit"
    systemctl stop "$UNIT"
    await "the emulator ends" none_of emulators
}

case_autostart_starts_anew_what_failed() {
    needs_autostart
    systemctl start "$UNIT"
    await "the firmware runs" pid_of_sensor_is_known
    pid=$(pid_of_sensor)
    kill -9 "$(emulators)"
    await "it runs again" has_another_pid
    await "the banner in the journal" unit_showed "$BANNER"
    systemctl stop "$UNIT"
    await "the emulator ends" none_of emulators
}
