# A private apt: Debian packages of any suite and architecture, downloaded and unpacked without touching this
# machine's own packages. Sourced; nothing here runs by itself.
# shellcheck shell=bash

# Prints the URI that this machine's apt uses for one Debian suite.
mirror_of() {
    # shellcheck disable=SC2016 # apt expands these
    env -u APT_CONFIG apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk -v suite="$1" '$1 == suite { print $2; exit }'
}

# private_apt DIR SUITE ARCHITECTURE... - makes an apt database in DIR for Debian's SUITE and its security updates;
# the first architecture is the native one. Sets APT_CONFIG, by which apt-get and apt-cache then use it.
private_apt() {
    local dir=$1 suite=$2 host uri security option=''
    shift 2
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    # shellcheck source=/dev/null
    host=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    uri=$(mirror_of "$host") security=$(mirror_of "$host-security")
    [[ -n $uri && -n $security ]] || {
        echo "apt: this machine's apt knows no mirror for Debian's $host and $host-security" >&2
        return 1
    }
    [[ -e $keyring ]] && option="[signed-by=$keyring] "
    mkdir -p "$dir"/{etc/apt.conf.d,etc/preferences.d,lists/partial,archives/partial}
    : >"$dir/status"
    printf 'deb %s%s %s main\n' "$option" "$uri" "$suite" "$option" "$security" "$suite-security" \
        >"$dir/etc/sources.list"
    cat >"$dir/apt.conf" <<CONF
Dir::Etc "$dir/etc";
Dir::State "$dir";
Dir::State::lists "$dir/lists";
Dir::State::status "$dir/status";
Dir::Cache "$dir";
Dir::Cache::archives "$dir/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Architecture "$1";
APT::Architectures { $(printf '"%s"; ' "$@") };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
    export APT_CONFIG="$dir/apt.conf"
}

# pin_versions LOCK FILE - writes apt preferences by which the versions of a packages.lock are preferred as long as
# the mirror has them: for all architectures, because a library's versions must be the same in all.
pin_versions() {
    sed -nE 's/^[0-9a-f]{64}  ([^_]+)_([^_]+)_[^_]+\.deb$/Package: \1:any\nPin: version \2\nPin-Priority: 1001\n/p' "$1" |
        sed 's/%3a/:/g' >"$2"
}

# fetch_packages PACKAGE... - downloads packages and all they depend on into the database's archives and prints the
# files' names, sorted.
fetch_packages() {
    apt-get -qq --yes --download-only install "$@" >&2
    # An archive directory without the packages, or those that are there would not be listed.
    apt-get -qq --yes --print-uris -o Dir::Cache::archives=/var/empty install "$@" 2>/dev/null |
        awk '{ print $2 }' | LC_ALL=C sort
}

# unpack_package FILE ROOT - puts a package's files below ROOT, without documentation and without running anything.
unpack_package() {
    dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink --directory "$2" \
        --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' \
        --exclude='./usr/share/info/*' --exclude='./usr/share/lintian/*' --exclude='./usr/share/bug/*'
}
