//! Runs a command with a breakpoint on each of its functions, which is taken away when it is met for the first time.
//!
//! Threads are followed, children are not: the commands that are looked at have none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The instruction `int3`.
const TRAP: u8 = 0xcc;

/// A function of a program's file.
pub(super) struct Function {
    /// Where it lies, from the beginning of the mapped file.
    address: u64,
    /// Its symbol.
    pub(super) name: String,
}

/// The functions of a program, by address; of several names of one address the first.
pub(super) fn functions(binary: &Path) -> Result<Vec<Function>> {
    let output =
        Command::new("nm").args(["--print-size", "--defined-only"]).arg(binary).output().context("nm")?;
    ensure!(output.status.success(), "nm: {}", String::from_utf8_lossy(&output.stderr));
    let mut functions = BTreeMap::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [address, _, "t" | "T" | "w" | "W", name] = words[..] {
            functions.entry(u64::from_str_radix(address, 16)?).or_insert_with(|| name.to_owned());
        }
    }
    Ok(functions.into_iter().map(|(address, name)| Function { address, name }).collect())
}

/// Which functions a command calls, in the order of the first calls.
pub(super) fn called(command: &mut Command, binary: &Path, functions: &[Function]) -> Result<Vec<usize>> {
    // SAFETY: one system call, which takes nothing of this process.
    unsafe {
        command.pre_exec(|| answer(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0)).map(|_| ()));
    }
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = libc::pid_t::try_from(child.id())?;
    // It stands at its first instruction.
    wait(pid)?;
    let options = libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
    // SAFETY: the child is this thread's tracee; no pointer of ours is passed.
    answer(unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options) })?;
    let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem"))?;
    let mut traced = Traced { memory, base: base(pid, binary)?, functions, first: vec![0; functions.len()] };
    for (function, first) in functions.iter().zip(&mut traced.first) {
        let mut byte = [0];
        traced.memory.read_exact_at(&mut byte, traced.base + function.address)?;
        traced.memory.write_all_at(&[TRAP], traced.base + function.address)?;
        *first = byte[0];
    }
    resume(pid, 0)?;
    traced.follow(pid)
}

/// A program that runs with breakpoints.
struct Traced<'a> {
    memory: File,
    /// Where its file begins in memory.
    base: u64,
    functions: &'a [Function],
    /// The first byte of each function as it is without a breakpoint.
    first: Vec<u8>,
}

impl Traced<'_> {
    /// Until it ends.
    fn follow(&mut self, pid: libc::pid_t) -> Result<Vec<usize>> {
        let mut called = Vec::new();
        loop {
            let (thread, status) = wait(-1)?;
            if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
                if thread == pid {
                    ensure!(status == 0, "it ended with status {status:#x}");
                    return Ok(called);
                }
                continue;
            }
            let is_event = status >> 16 != 0;
            match libc::WSTOPSIG(status) {
                libc::SIGTRAP if !is_event => called.extend(self.step_back(thread)?),
                // A thread begins.
                libc::SIGTRAP | libc::SIGSTOP => {}
                signal => {
                    resume(thread, signal)?;
                    continue;
                }
            }
            resume(thread, 0)?;
        }
    }

    /// Takes a breakpoint away and goes back to where it was; which one, if no other thread has met it before.
    fn step_back(&mut self, thread: libc::pid_t) -> Result<Option<usize>> {
        // SAFETY: plain numbers, for which zeros are values.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        // SAFETY: the thread is a stopped tracee, and the kernel writes one such struct.
        answer(unsafe { libc::ptrace(libc::PTRACE_GETREGS, thread, 0, &raw mut registers) })?;
        registers.rip -= 1;
        let address = registers.rip.wrapping_sub(self.base);
        let Ok(at) = self.functions.binary_search_by_key(&address, |function| function.address) else {
            bail!("a trap at {address:#x}, where no breakpoint is");
        };
        let mut now = [0];
        self.memory.read_exact_at(&mut now, registers.rip)?;
        self.memory.write_all_at(&[self.first[at]], registers.rip)?;
        // SAFETY: the thread is a stopped tracee, and the kernel reads one such struct.
        answer(unsafe { libc::ptrace(libc::PTRACE_SETREGS, thread, 0, &raw const registers) })?;
        Ok((now[0] == TRAP).then_some(at))
    }
}

/// Where a program's file begins in the memory of its process.
fn base(pid: libc::pid_t, binary: &Path) -> Result<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let binary = binary.to_str().context("a program whose name is not UTF-8")?;
    let line =
        maps.lines().find(|line| line.ends_with(binary)).context("the program is not in its own memory")?;
    let (begin, _) = line.split_once('-').context("a line of /proc/PID/maps without a range")?;
    Ok(u64::from_str_radix(begin, 16)?)
}

fn resume(thread: libc::pid_t, signal: i32) -> io::Result<()> {
    // SAFETY: the thread is a stopped tracee; no pointer is passed.
    answer(unsafe { libc::ptrace(libc::PTRACE_CONT, thread, 0, signal) }).map(|_| ())
}

/// The next thread that stops or ends.
fn wait(pid: libc::pid_t) -> io::Result<(libc::pid_t, i32)> {
    let mut status = 0;
    // SAFETY: the kernel writes one number to where it is told.
    let thread = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
    answer(i64::from(thread)).map(|_| (thread, status))
}

/// A system call's answer, or its error.
fn answer(value: i64) -> io::Result<i64> {
    if value < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}
