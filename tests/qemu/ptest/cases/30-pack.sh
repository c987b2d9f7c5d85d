# The image builder, on the target.
# shellcheck shell=sh

pack() { micrun-image-builder pack "$SHARE/firmware/$1.elf" --os "$2" -t "localhost/ptest/$1:1" -o "$WORK/$1.tar"; }

case_pack_is_reproducible() {
    first=$(pack freertos-demo freertos) && sum=$(sha256sum <"$WORK/freertos-demo.tar")
    rm "$WORK/freertos-demo.tar"
    equal "$(pack freertos-demo freertos)" "$first" "the digest of a second packing"
    equal "$(sha256sum <"$WORK/freertos-demo.tar")" "$sum" "the archive of a second packing"
}

case_packed_image_can_be_inspected() {
    pack freertos-demo freertos
    micrun-image-builder inspect "$WORK/freertos-demo.tar" | tee "$WORK/inspect"
    grep -q freertos "$WORK/inspect"
    micrun-image-builder inspect --json "$WORK/freertos-demo.tar" >/dev/null
}

case_packed_image_runs() {
    pack hello baremetal
    ctr image import "$WORK/hello.tar"
    ctr run --rm --runtime "$RUNTIME" localhost/ptest/hello:1 "$PREFIX-packed" >"$WORK/out"
    ctr image rm localhost/ptest/hello:1
    equal "$(tr -d '\r' <"$WORK/out")" 'hello from bare metal' "the console"
}

case_what_is_no_firmware_is_refused() {
    echo "no ELF" >"$WORK/firmware.elf"
    status=0
    micrun-image-builder pack "$WORK/firmware.elf" -o "$WORK/x.tar" 2>"$WORK/err" || status=$?
    equal "$status" 3 "the exit status"
    [ -s "$WORK/err" ] || fail "nothing was said"
    [ ! -e "$WORK/x.tar" ] || fail "an image was written"
}
