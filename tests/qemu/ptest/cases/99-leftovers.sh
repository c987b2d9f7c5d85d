# After all this, everything is as before the first case.
# shellcheck shell=sh

as_before() {
    inventory | sort >"$WORK/now"
    sort "$INVENTORY" | cmp -s - "$WORK/now"
}

case_nothing_is_left() {
    tries=50
    until as_before; do
        tries=$((tries - 1))
        if [ "$tries" = 0 ]; then
            sort "$INVENTORY" | diff - "$WORK/now" || fail "there is more, or less, than before the first case"
        fi
        sleep 0.2
    done
}
