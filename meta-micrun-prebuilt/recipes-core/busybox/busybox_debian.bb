SUMMARY = "Shell and basic tools (Debian's static busybox)"
LICENSE = "GPL-2.0-only"
DEBIAN_PACKAGES = "busybox-static"
RPROVIDES:${PN} = "busybox-hwclock busybox-syslog"

inherit debian-binary

# A link for each applet, as the binary lists them; not for those that Debian's other packages have.
python do_applets() {
    from pathlib import Path
    data = Path(d.expand("${UNPACKDIR}/debian/usr/bin/busybox")).read_bytes()
    start = data.index(b"\0[\0[[\0") + 1
    names = data[start:data.index(b"\0\0", start)].decode().split("\0")
    Path(d.expand("${WORKDIR}/applets")).write_text("".join("%s\n" % name for name in names))
}
addtask applets after do_unpack before do_install

OTHERS = "agetty busybox depmod dmesg findmnt flock fstrim getopt halt init insmod kill linuxrc losetup lsmod mknod modinfo \
    modprobe more mount mountpoint nsenter poweroff reboot rmmod runlevel setpriv shutdown su swapoff swapon \
    switch_root tar taskset telinit umount unshare"

do_install:append() {
    while read -r name; do
        case " ${OTHERS} " in
            *" $name "*) ;;
            *) ln -s busybox "${D}${bindir}/$name" ;;
        esac
    done <${WORKDIR}/applets
}
