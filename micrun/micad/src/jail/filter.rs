//! Filters for system calls (seccomp(2)).

use std::io;
use std::sync::LazyLock;

use nix::errno::Errno;
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use super::calls::{self, Calls};

/// A compiled list of system calls.
#[derive(Debug)]
pub(crate) struct Filter {
    allowed: BpfProgram,
    abort: BpfProgram,
}

impl Filter {
    /// The filter for QEMU; `None` on a processor that there is no list for.
    pub(crate) fn qemu() -> Option<&'static Self> {
        static QEMU: LazyLock<Option<Filter>> = LazyLock::new(|| Filter::here(calls::qemu()));
        QEMU.as_ref()
    }

    /// The same for one whose machine is executed by KVM.
    pub(crate) fn qemu_with_kvm() -> Option<&'static Self> {
        static QEMU: LazyLock<Option<Filter>> = LazyLock::new(|| Filter::here(calls::qemu_with_kvm()));
        QEMU.as_ref()
    }

    /// The filter for the relay of a console; `None` as above.
    pub(crate) fn relay() -> Option<&'static Self> {
        static RELAY: LazyLock<Option<Filter>> = LazyLock::new(|| Filter::here(calls::relay()));
        RELAY.as_ref()
    }

    #[expect(clippy::expect_used, reason = "the lists are constants, and the tests compile them")]
    fn here(allowed: Result<Calls, BackendError>) -> Option<Self> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).ok()?;
        let compiled = allowed.and_then(|allowed| Self::compile(allowed, arch));
        Some(compiled.expect("the list of system calls is a filter"))
    }

    fn compile(allowed: Calls, arch: TargetArch) -> Result<Self, BackendError> {
        let deny = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        let filter = |calls: Calls, others, these| {
            SeccompFilter::new(calls.into_iter().collect(), others, these, arch)?.try_into()
        };
        Ok(Self {
            allowed: filter(allowed, deny, SeccompAction::Allow)?,
            abort: filter(calls::abort()?, SeccompAction::Allow, SeccompAction::Trap)?,
        })
    }

    /// Puts the calling process under the filter for good. Async-signal-safe.
    pub(crate) fn install(&self) -> io::Result<()> {
        // The stricter one last, for it need not allow that.
        [&self.abort, &self.allowed].into_iter().try_for_each(|program| {
            seccompiler::apply_filter(program).map_err(|e| match e {
                seccompiler::Error::Prctl(e) | seccompiler::Error::Seccomp(e) => e,
                _ => Errno::EINVAL.into(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_lists_are_filters_for_each_processor() {
        for arch in [TargetArch::x86_64, TargetArch::aarch64, TargetArch::riscv64] {
            Filter::compile(calls::qemu().unwrap(), arch).unwrap();
            Filter::compile(calls::qemu_with_kvm().unwrap(), arch).unwrap();
            Filter::compile(calls::relay().unwrap(), arch).unwrap();
        }
    }
}
