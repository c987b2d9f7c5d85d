# How much of the system the services leave open, and to whom.
# shellcheck shell=sh

# exposure_is_at_most TENTHS UNIT - what systemd says of a unit, where it is in this system.
exposure_is_at_most() {
    systemctl cat "$2" >/dev/null 2>&1 || return 0
    systemd-analyze security --no-pager --threshold="$1" "$2" >"$WORK/security" || {
        grep -v '✓' "$WORK/security"
        fail "the exposure of $2 is above $1 tenths"
    }
    tail -n 1 "$WORK/security"
}

# micad's is higher here than elsewhere: it reads the kernel's log.
case_services_leave_little_open() {
    needs_systemd
    command -v systemd-analyze >/dev/null || skip "there is no systemd-analyze in this system"
    exposure_is_at_most 32 micad.service
    exposure_is_at_most 20 mica-shutdown.service
    exposure_is_at_most 20 micrun-preload.service
    exposure_is_at_most 21 firmware-sensor.service
}

# listening TABLE STATE - local addresses of a table of sockets that await somebody, but not those of the loopback device.
listening() {
    [ ! -e "/proc/net/$1" ] || awk -v state="$2" 'FNR > 1 && $4 == state { print $2 }' "/proc/net/$1" |
        grep -vE '^([0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F):' || true
}

# The addresses are as the kernel has them. DHCP's clients await answers: ports 68 and 546.
case_no_service_listens() {
    ! command -v sshd dropbear >/dev/null || skip "this system has an ssh server"
    for protocol in tcp tcp6; do listening $protocol 0A; done >"$WORK/listening"
    for protocol in udp udp6; do listening $protocol 07; done | grep -vE ':(0044|0222)$' >>"$WORK/listening" || true
    [ ! -s "$WORK/listening" ] || fail "something listens: $(cat "$WORK/listening")"
}
