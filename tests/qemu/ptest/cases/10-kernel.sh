# The kernel has what containers and the remote processor need.
# shellcheck shell=sh

case_kernel_has_unified_cgroups() {
    grep -q '^[^ ]* /sys/fs/cgroup cgroup2 ' /proc/mounts || fail "no cgroup2 on /sys/fs/cgroup"
    for controller in cpu cpuset io memory pids; do
        grep -qw "$controller" /sys/fs/cgroup/cgroup.subtree_control || fail "no cgroup controller $controller"
    done
}

case_kernel_has_overlayfs() {
    grep -qw overlay /proc/filesystems || modprobe overlay
    mount -t tmpfs tmpfs "$WORK"
    mkdir "$WORK/lower" "$WORK/upper" "$WORK/work" "$WORK/merged"
    echo text >"$WORK/lower/file"
    mount -t overlay -o "lowerdir=$WORK/lower,upperdir=$WORK/upper,workdir=$WORK/work" overlay "$WORK/merged"
    content=$(cat "$WORK/merged/file")
    umount "$WORK/merged" "$WORK"
    equal "$content" text "a file of the lower layer"
}

case_kernel_has_namespaces_and_seccomp() {
    for kind in cgroup ipc mnt net pid user uts; do
        [ -e "/proc/self/ns/$kind" ] || fail "no $kind namespaces"
    done
    grep -q '^Seccomp:' /proc/self/status || fail "no seccomp"
}

case_kernel_has_remoteproc() {
    [ -d /sys/class/remoteproc ] || fail "no /sys/class/remoteproc: CONFIG_REMOTEPROC is off"
}

case_kernel_has_rpmsg_modules() {
    for module in rpmsg_ns virtio_rpmsg_bus rpmsg_char rpmsg_ctrl rpmsg_tty; do
        [ -d "/sys/module/$module" ] || modprobe "$module" 2>/dev/null ||
            [ -n "$(find "/lib/modules/$(uname -r)" -name "$module.ko*")" ] ||
            skip "this kernel has no module $module"
    done
}

case_kernel_leaves_a_core_and_memory_to_the_rtos() {
    [ -d /proc/device-tree/reserved-memory ] || skip "the device tree reserves no memory"
    nodes=$(ls /proc/device-tree/reserved-memory)
    echo "$nodes" | grep -q '^rtos' || skip "the device tree reserves no memory for an RTOS"
    present=$(cat /sys/devices/system/cpu/present) online=$(cat /sys/devices/system/cpu/online)
    [ "$present" != "$online" ] || fail "all cores ($present) are Linux's"
}

case_kernel_has_the_remote_processor() {
    grep -qs micrun,mica-rproc /proc/device-tree/*/compatible || skip "the device tree has no micrun,mica-rproc"
    cat /sys/class/remoteproc/*/name | grep -q '^mica-cpu' || fail "no remote processor of that name"
}
