# Firmware that another multiconfig builds. Sourced after suite.bash.
# shellcheck shell=bash

# build_rtos - an image of firmware for a Cortex-M3 (kas/rtos/cortex-m.yml); what is in that image then runs on the board
# that QEMU emulates.
build_rtos() {
    local native="$WORK/build/tmp/sysroots-components/x86_64/micrun-image-builder-native/usr/bin"
    (cd "$WORK/micrun" && as_builder kas shell "$KAS_FILE:kas/rtos/cortex-m.yml" --command 'bitbake micrun-freertos-cortex-m')
    rm -rf "$WORK/rtos"
    "$native/micrun-image-builder" verify "$DEPLOY/micrun/freertos-cortex-m.tar"
    "$native/micrun-image-builder" unpack "$DEPLOY/micrun/freertos-cortex-m.tar" "$WORK/rtos"
    mv "$WORK/rtos/firmware.elf" "$WORK/rtos/freertos-cortex-m.elf"
    python3 -B tests/firmware/check/check.py "$WORK/rtos" cortex-m banner_is_the_first_output uname exit_7
}
