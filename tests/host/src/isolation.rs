//! Where a test finds its private namespaces and the programs under test.

use std::env;
use std::path::{Path, PathBuf};

/// Panics, saying how to run the test, unless it runs inside `tests/host/isolated`.
pub fn require() {
    assert!(
        env::var_os("MICRUN_TEST_ISOLATED").is_some(),
        "this test needs namespaces of its own: run it in tests/ by `cargo nextest run -p micrun-host-tests`, \
         or put tests/host/isolated before its command"
    );
}

/// The containerd namespace of this test; the wrapper removes the cgroups it names.
pub fn containerd_namespace() -> String {
    env::var("MICRUN_TEST_NAMESPACE").expect("tests/host/isolated sets MICRUN_TEST_NAMESPACE")
}

/// Where all state of a test goes: the private tmpfs on `/run`. `tests/host/containerd.toml` names it, too.
pub fn state_dir() -> &'static Path {
    Path::new("/run/micrun-test")
}

/// The repository.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository exists")
}

/// The folder of the programs under test: the one that `MICRUN_TEST_BINARIES` names, else that of this program's own build
/// profile.
pub fn binaries() -> PathBuf {
    if let Some(folder) = env::var_os("MICRUN_TEST_BINARIES") {
        return folder.into();
    }
    let own = env::current_exe().expect("the path of the running program is known");
    let folder = own.parent().expect("a program lies in a folder");
    // Tests lie one deeper than programs, in target/PROFILE/deps.
    if folder.ends_with("deps") { folder.join("..") } else { folder.to_path_buf() }
}

/// A program under test; panics, saying how to build it, when it is not there.
pub fn binary(name: &str) -> PathBuf {
    let path = binaries().join(name);
    assert!(path.exists(), "{} is not built: run `make build`", path.display());
    path
}

/// `PATH` with the programs under test first, which is how containerd finds the shim, then the containerd that
/// `MICRUN_CONTAINERD_BIN` chooses: a folder with `containerd`, `ctr` and `containerd-shim-runc-v2`.
pub fn path_variable() -> String {
    let chosen = env::var("MICRUN_CONTAINERD_BIN").map(|folder| format!("{folder}:")).unwrap_or_default();
    format!("{}:{chosen}{}", binaries().display(), env::var("PATH").unwrap_or_default())
}

/// A program of containerd: that of the folder `MICRUN_CONTAINERD_BIN`, else the one on `PATH`.
pub fn containerd_program(name: &str) -> PathBuf {
    env::var_os("MICRUN_CONTAINERD_BIN").map_or_else(|| name.into(), |folder| Path::new(&folder).join(name))
}
