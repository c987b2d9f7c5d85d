SUMMARY = "Shell and basic tools (Debian's static busybox)"
LICENSE = "GPL-2.0-only"
DEBIAN_PACKAGES = "busybox-static"
RPROVIDES:${PN} = "busybox-hwclock busybox-syslog coreutils"

inherit debian-binary

# A link for each applet, as the binary lists them; not for those that Debian's other packages have.
python do_applets() {
    from pathlib import Path
    data = Path(d.expand("${UNPACKDIR}/debian/usr/bin/busybox")).read_bytes()
    start = data.index(b"[\0[[\0")
    names = data[start:data.index(b"\0\0", start)].decode().split("\0")
    Path(d.expand("${WORKDIR}/applets")).write_text("".join("%s\n" % name for name in names))
}
addtask applets after do_unpack before do_install

OTHERS = "blkdiscard blockdev busybox depmod dmesg fallocate findfs fsfreeze fstrim getopt getty halt init insmod ionice \
    linux32 linux64 losetup lsmod mkswap modinfo modprobe more mount nsenter pivot_root poweroff reboot rev rmmod \
    setpriv setsid su sulogin swapoff swapon switch_root tar taskset umount unshare"

do_install:append() {
    while read -r name; do
        case " ${OTHERS} " in
            *" $name "*) ;;
            *) ln -s busybox "${D}${bindir}/$name" ;;
        esac
    done <${WORKDIR}/applets
}
