# Where bitbake and openembedded-core come from. Sourced.
# shellcheck shell=bash

# Prints the kas files of KAS_FILE, which has colons between them, and what they include (KAS_INCLUDED).
kas_files() { tr : '\n' <<<"$KAS_FILE${KAS_INCLUDED:+:$KAS_INCLUDED}"; }

# Prints name and URL of each repository of the kas files.
repositories() {
    local files
    mapfile -t files < <(kas_files)
    awk '/^  [a-z].*:$/ { sub(":", "", $1); name = $1 } $1 == "url:" { print name, $2 }' "${files[@]}"
}

# The commit of a repository: that of a lock file, or of a kas file without one.
locked() {
    local file files=()
    while read -r file; do
        if [[ -e ${file%.yml}.lock.yml ]]; then files+=("${file%.yml}.lock.yml"); else files+=("$file"); fi
    done < <(kas_files)
    awk -v name="$1:" '/^ +[a-z].*:$/ { mine = $1 == name } mine && $1 == "commit:" { print $2; exit }' "${files[@]}"
}

# Where kas looks for a repository's clone in its KAS_REPO_REF_DIR.
reference_of() { sed -E 's|^[a-z]+://||; s|/|.|g' <<<"$1"; }

# Whether a clone has a commit; its owner may be somebody else.
has_commit() { git -c safe.directory='*' -C "$1" cat-file -e "$2^{commit}" 2>/dev/null; }

# Prints the name in KAS_REPO_REF_DIR of each repository that is to be taken from there.
references() {
    local name url reference
    [[ -n ${KAS_REPO_REF_DIR:-} ]] || return 0
    while read -r name url; do
        reference=$(reference_of "$url")
        [[ ! -d $KAS_REPO_REF_DIR/$reference ]] || echo "$name $reference"
    done < <(repositories)
}

# Whether each repository can be had.
find_sources() {
    local name url
    [[ -z ${KAS_PREMIRRORS:-} ]] || return 0
    while read -r name url; do
        has_commit "$WORK/$name" "$(locked "$name")" && continue
        [[ ! -d ${KAS_REPO_REF_DIR:-/nonexistent}/$(reference_of "$url") ]] || continue
        timeout 30 git ls-remote --quiet --exit-code "$url" HEAD >/dev/null 2>&1 || return
    done < <(repositories)
}

# Gives the build user clones of its own of what is in KAS_REPO_REF_DIR: git trusts no other's. Those that have the commit
# stay.
take_sources() {
    local name reference
    while read -r name reference; do
        has_commit "$WORK/ref/$reference" "$(locked "$name")" && continue
        rm -rf "${WORK:?}/ref/$reference"
        mkdir -p "$WORK/ref"
        cp -RL "$KAS_REPO_REF_DIR/$reference" "$WORK/ref/$reference"
        chown -R "$BUILD_USER:" "$WORK/ref"
    done < <(references)
}

# Has kas use them.
use_sources() {
    export KAS_WORK_DIR="$WORK"
    [[ ! -d $WORK/ref ]] || export KAS_REPO_REF_DIR="$WORK/ref"
}
