# The daemons are up, and reachable by root alone.
# shellcheck shell=sh

case_containerd_is_up() {
    equal "$(systemctl is-active containerd)" active "the state of containerd"
    ctr version
}

case_micad_is_up() {
    equal "$(systemctl is-active micad)" active "the state of micad"
    mica version
    mica list
}

case_micad_is_reachable_by_root_alone() {
    equal "$(stat -c '%a %u' /run/mica)" '700 0' "mode and owner of /run/mica"
    [ -S /run/mica/mica-create.socket ] || fail "no /run/mica/mica-create.socket"
}

case_containerd_knows_the_shim() {
    containerd-shim-mica-v2 -v
    containerd config dump 2>/dev/null | grep -q io.containerd.mica.v2 ||
        fail "containerd's configuration does not name io.containerd.mica.v2"
}
