# Where bitbake and openembedded-core come from. Sourced.
# shellcheck shell=bash

# Prints name and URL of each repository of the kas file.
repositories() {
    awk '/^  [a-z].*:$/ { sub(":", "", $1); name = $1 } $1 == "url:" { print name, $2 }' "$KAS_FILE"
}

# The commit that the lock file has for a repository.
locked() { awk -v name="$1:" '$1 == name { getline; print $2 }' "${KAS_FILE%.yml}.lock.yml"; }

# Where kas looks for a repository's clone in its KAS_REPO_REF_DIR.
reference_of() { sed -E 's|^[a-z]+://||; s|/|.|g' <<<"$1"; }

# Whether each repository can be had. Clones in KAS_REPO_REF_DIR are copied, because the build user must own them.
find_sources() {
    local name url reference
    while read -r name url; do
        git -c safe.directory='*' -C "$WORK/$name" cat-file -e "$(locked "$name")" 2>/dev/null && continue
        [[ -z ${KAS_PREMIRRORS:-} ]] || continue
        reference=$(reference_of "$url")
        if [[ -d ${KAS_REPO_REF_DIR:-/nonexistent}/$reference ]]; then
            mkdir -p "$WORK/ref"
            rm -rf "${WORK:?}/ref/$reference"
            cp -R "$KAS_REPO_REF_DIR/$reference" "$WORK/ref/$reference"
            continue
        fi
        timeout 30 git ls-remote --quiet --exit-code "$url" HEAD >/dev/null 2>&1 || return
    done < <(repositories)
    [[ ! -d $WORK/ref ]] || export KAS_REPO_REF_DIR="$WORK/ref"
    export KAS_WORK_DIR="$WORK"
}
