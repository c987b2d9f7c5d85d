# A recipe whose content is that of Debian packages:
#
#   inherit debian-binary
#   DEBIAN_PACKAGES = "containerd"
#
# The files come from what tests/yocto/prebuilt has downloaded, their versions and checksums from its packages.lock.
# No maintainer script runs. Documentation and translations are left out.

# Names, or patterns of the shell, of packages.
DEBIAN_PACKAGES ?= "${BPN}"
DEBIAN_EXCLUDE ?= ""
# The directory they lie in, and their architectures.
DEBIAN_ORIGIN ?= "target"
DEBIAN_ORIGIN:class-native ?= "host"
DEBIAN_ARCHITECTURES ?= "${DPKG_ARCH} all"
DEBIAN_ARCHITECTURES:class-native ?= "amd64 all"
DEBIAN_LOCK = "${MICRUN_DEBIAN_DIR}/packages.lock"

# A name, version and checksum for each package that the recipe asks for, sorted.
def debian_packages(d):
    import fnmatch, os
    lock = d.getVar("DEBIAN_LOCK")
    bb.parse.mark_dependency(d, lock)
    if not os.path.exists(lock):
        raise bb.parse.SkipRecipe("%s is missing; tests/yocto/prebuilt makes it" % lock)
    patterns = d.getVar("DEBIAN_PACKAGES").split()
    exclude = d.getVar("DEBIAN_EXCLUDE").split()
    found = []
    with open(lock) as file:
        lines = file.read().splitlines()
    for line in lines:
        checksum, path = line.split()
        origin, file = path.split("/")
        name, version, arch = os.path.splitext(file)[0].split("_")
        if (origin == d.getVar("DEBIAN_ORIGIN") and arch in d.getVar("DEBIAN_ARCHITECTURES").split()
                and any(fnmatch.fnmatch(name, pattern) for pattern in patterns) and name not in exclude):
            version = version.split("%3a")[-1]
            file = "%s_%s_%s%s" % (name, version, arch, os.path.splitext(file)[1])
            found.append((name, version, file, checksum))
    for pattern in patterns:
        if not fnmatch.filter([name for name, *_ in found], pattern):
            bb.fatal("%s has no package %s; add it to tests/yocto/packages" % (lock, pattern))
    return found

def debian_uris(d):
    return " ".join("https://debian.invalid/%s/%s;name=%s;subdir=debian;sha256sum=%s"
                    % (d.getVar("DEBIAN_ORIGIN"), file, name, checksum)
                    for name, version, file, checksum in debian_packages(d))

# The upstream's version of the first package.
def debian_version(d):
    import fnmatch, re
    first = d.getVar("DEBIAN_PACKAGES").split()[0]
    version = next(row[1] for row in debian_packages(d) if fnmatch.fnmatch(row[0], first))
    return re.split("[-+~]", version)[0]

PV = "${@debian_version(d)}"
SRC_URI = "${@debian_uris(d)}"
# What the lock says counts, not only how it is read.
SRC_URI[vardepvalue] = "${@debian_uris(d)}"
S = "${UNPACKDIR}"

SECTION = "prebuilt"
LICENSE ?= "GPL-2.0-or-later"
LIC_FILES_CHKSUM ?= "${@'file://${COMMON_LICENSE_DIR}/%s;md5=%s' % (d.getVar('LICENSE'), bb.utils.md5_file(d.expand('${COMMON_LICENSE_DIR}/${LICENSE}')))}"

INHIBIT_DEFAULT_DEPS = "1"
DEPENDS:append:class-target = "${@'' if d.getVar('BPN') == 'glibc' else ' glibc'}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -d ${D}
    cp -dR --preserve=mode,timestamps,links ${UNPACKDIR}/debian/. ${D}/
    cd ${D}/usr
    rm -rf share/doc share/man share/locale share/info share/lintian share/bug share/doc-base share/bash-completion \
        share/zsh share/fish share/initramfs-tools share/mime share/reportbug
    find ${D} -type d -empty -delete
}

PACKAGES = "${PN}"
FILES:${PN} = "/etc /lib /usr /var"
# As Debian built them.
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"
INHIBIT_SYSROOT_STRIP = "1"
SKIP_FILEDEPS = "1"
INSANE_SKIP:${PN} += "already-stripped build-deps buildpaths dev-so file-rdeps ldflags libdir staticdev textrel \
    unimplemented-ptest useless-rpaths"
