//! Threads for one call, which have for themselves what else belongs to the whole process.

use std::path::Path;
use std::thread::{Builder, scope};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::chdir;

use crate::error::{Error, Result};

/// Runs `work` with a working directory of its own.
pub(super) fn within<T: Send>(directory: &Path, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    apart(|| {
        let failed = |errno: nix::Error| Error::io("change to", directory)(errno.into());
        unshare(CloneFlags::CLONE_FS).map_err(failed)?;
        chdir(directory).map_err(failed)?;
        work()
    })
}

/// Runs `work` in a copy of the mount namespace that nothing gets out of, and that ends with it.
pub(super) fn in_a_copy_of_the_namespace<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    apart(|| {
        let failed = |errno: nix::Error| Error::io("copy", "the mount namespace")(errno.into());
        let none: Option<&str> = None;
        unshare(CloneFlags::CLONE_NEWNS).map_err(failed)?;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(failed)?;
        work()
    })
}

fn apart<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    scope(|scope| {
        let thread = Builder::new().spawn_scoped(scope, work).map_err(Error::io("start", "a thread"))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_working_directory_is_the_threads_own() {
        let before = std::env::current_dir().unwrap();
        let dir = tempfile::tempdir().unwrap().path().canonicalize().unwrap();
        std::fs::create_dir_all(&dir).unwrap();
        let inside = within(&dir, || Ok(std::env::current_dir().unwrap())).unwrap();
        assert_eq!((inside, std::env::current_dir().unwrap()), (dir.clone(), before));
        std::fs::remove_dir_all(&dir).unwrap();
        let message = within(&dir, || Ok(())).unwrap_err().to_string();
        assert!(message.contains(dir.to_str().unwrap()), "{message}");
    }
}
