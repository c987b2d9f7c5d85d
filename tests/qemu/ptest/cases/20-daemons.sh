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

# The one permission of this system that is not the default: its device tree keeps a core for firmware.
case_policy_allows_the_spare_core() {
    containerd-shim-mica-v2 --print-config | tee "$WORK/config"
    grep -q '^allowed_pedestals  *qemu, baremetal  */etc/mica/micrun/conf.d/10-spare-core.conf$' "$WORK/config" ||
        fail "the spare core is not allowed"
    grep -q '^allow_restore  *false  *default$' "$WORK/config" || fail "checkpoints are allowed"
    mica version --json | grep -q '"policy"' || fail "the daemon does not tell its policy"
}

case_containerd_knows_the_shim() {
    containerd-shim-mica-v2 -v
    containerd config dump 2>/dev/null | grep -q io.containerd.mica.v2 ||
        fail "containerd's configuration does not name io.containerd.mica.v2"
}
