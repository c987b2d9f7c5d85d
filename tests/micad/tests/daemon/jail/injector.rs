//! System calls made by another process, which a debugger forces to.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::attempts::{Argument, Attempt, Undo};

/// `syscall`
const INSTRUCTION: [u8; 2] = [0x0f, 0x05];
/// Room for the arguments, below the stack and what leaf functions keep there.
const ROOM: u64 = 64 << 10;

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Refused(Errno),
    Killed,
}

/// A process whose first thread is stopped in a system call.
pub(super) struct Injector {
    pid: Pid,
    registers: libc::user_regs_struct,
    memory: File,
}

impl Injector {
    /// Stops the process where it waits for events, as QEMU does nearly always.
    pub(super) fn attach(pid: Pid) -> Self {
        // QEMU's own filter ends the thread alone for some calls.
        ptrace::seize(pid, ptrace::Options::PTRACE_O_TRACEEXIT).unwrap();
        let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem")).unwrap();
        loop {
            ptrace::interrupt(pid).unwrap();
            let stopped = waitpid(pid, None).unwrap();
            assert!(matches!(stopped, WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..)), "{stopped:?}");
            let registers = ptrace::getregs(pid).unwrap();
            let mut instruction = [0; 2];
            memory.read_exact_at(&mut instruction, registers.rip - 2).unwrap();
            if instruction == INSTRUCTION && registers.orig_rax == number(libc::SYS_ppoll) {
                return Self { pid, registers, memory };
            }
            ptrace::cont(pid, None).unwrap();
            std::thread::yield_now();
        }
    }

    /// Has the process make this call, and gives what the kernel answered. If the process lives, it is as before.
    pub(super) fn call(&mut self, attempt: &Attempt) -> Answer {
        match self.inject(attempt.call, &attempt.arguments, 0) {
            None => Answer::Killed,
            Some(Err(errno)) => Answer::Refused(errno),
            Some(Ok(result)) => {
                match &attempt.undo {
                    None => {}
                    Some(Undo::Kill) => {
                        let pid = Pid::from_raw(i32::try_from(result).unwrap());
                        kill(pid, Signal::SIGKILL).unwrap();
                    }
                    Some(Undo::Remove(path)) => std::fs::remove_file(path).unwrap(),
                    Some(Undo::Call(call, arguments)) => {
                        self.inject(*call, arguments, result).unwrap().unwrap();
                    }
                }
                Answer::Done
            }
        }
    }

    /// What the call gives; `None` if it is the thread's end.
    fn inject(&mut self, call: i64, arguments: &[Argument], before: u64) -> Option<nix::Result<u64>> {
        let mut room = (self.registers.rsp - ROOM) & !15;
        let mut words = [0; 6];
        for (word, argument) in words.iter_mut().zip(arguments) {
            *word = match argument {
                Argument::Number(value) => *value,
                Argument::Result => before,
                Argument::Bytes(bytes) => {
                    self.memory.write_all_at(bytes, room).unwrap();
                    let address = room;
                    room += u64::try_from(bytes.len().next_multiple_of(16)).unwrap();
                    address
                }
            };
        }
        let [rdi, rsi, rdx, r10, r8, r9] = words;
        let registers = libc::user_regs_struct {
            rip: self.registers.rip - 2,
            rax: number(call),
            // No system call is to be restarted.
            orig_rax: u64::MAX,
            rdi,
            rsi,
            rdx,
            r10,
            r8,
            r9,
            ..self.registers
        };
        ptrace::setregs(self.pid, registers).unwrap();
        ptrace::step(self.pid, None).unwrap();
        match waitpid(self.pid, None).unwrap() {
            WaitStatus::Signaled(..)
            | WaitStatus::Exited(..)
            | WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXIT) => return None,
            WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..) => {}
            other => panic!("{call}: {other:?}"),
        }
        let result = ptrace::getregs(self.pid).unwrap().rax;
        ptrace::setregs(self.pid, self.registers).unwrap();
        Some(match i32::try_from(-result.cast_signed()) {
            Ok(errno @ 1..4096) => Err(Errno::from_raw(errno)),
            _ => Ok(result),
        })
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        // One that is dead needs no letting go.
        let _ = ptrace::detach(self.pid, None);
    }
}

fn number(call: i64) -> u64 {
    call.unsigned_abs()
}
