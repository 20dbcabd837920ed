//! What the helper asks of Linux, the first instruction, and the four functions that a compiler takes for granted.

use core::arch::{asm, global_asm};

pub(crate) const ENOENT: i32 = 2;
pub(crate) const E2BIG: i32 = 7;
pub(crate) const ENOEXEC: i32 = 8;
pub(crate) const EACCES: i32 = 13;
pub(crate) const ENOTDIR: i32 = 20;

/// The calls' numbers (Linux `arch/x86/entry/syscalls/syscall_64.tbl`).
#[cfg(target_arch = "x86_64")]
mod call {
    pub(super) const WRITE: usize = 1;
    pub(super) const LSEEK: usize = 8;
    pub(super) const MMAP: usize = 9;
    pub(super) const EXECVE: usize = 59;
    pub(super) const EXIT_GROUP: usize = 231;
    pub(super) const OPENAT: usize = 257;
}

/// The calls' numbers (Linux `include/uapi/asm-generic/unistd.h`).
#[cfg(target_arch = "aarch64")]
mod call {
    pub(super) const OPENAT: usize = 56;
    pub(super) const LSEEK: usize = 62;
    pub(super) const WRITE: usize = 64;
    pub(super) const EXIT_GROUP: usize = 94;
    pub(super) const EXECVE: usize = 221;
    pub(super) const MMAP: usize = 222;
}

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {begin}",
    "ud2",
    begin = sym crate::begin
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, #0",
    "mov x30, #0",
    "mov x0, sp",
    "bl {begin}",
    "brk #1",
    begin = sym crate::begin
);

/// A call; a negative result is an error's number.
///
/// # Safety
/// As the call demands.
#[cfg(target_arch = "x86_64")]
unsafe fn call(number: usize, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the caller answers for the arguments; the kernel keeps all other registers.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result,
             in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
             lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// A call; a negative result is an error's number.
///
/// # Safety
/// As the call demands.
#[cfg(target_arch = "aarch64")]
unsafe fn call(number: usize, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the caller answers for the arguments; the kernel keeps all other registers.
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") a[0] as isize => result,
             in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    result
}

/// Strings of the process: arguments, or variables.
#[derive(Clone, Copy)]
pub(crate) struct Strings(*const *const u8);

impl Strings {
    /// # Safety
    /// Pointers to strings that stay for ever, a null after the last.
    pub(crate) unsafe fn new(at: *const *const u8) -> Strings {
        Strings(at)
    }
}

impl Iterator for Strings {
    type Item = &'static [u8];

    fn next(&mut self) -> Option<&'static [u8]> {
        // SAFETY: it has not come past the null; a string ends with a zero, and stays.
        unsafe {
            let string = *self.0;
            if string.is_null() {
                return None;
            }
            self.0 = self.0.add(1);
            let mut length = 0;
            // Volatile, or the compiler would make a call of `strlen` of it.
            while string.add(length).read_volatile() != 0 {
                length += 1;
            }
            Some(core::slice::from_raw_parts(string, length))
        }
    }
}

/// Writes to stderr, as much as is taken.
pub(crate) fn say(text: &[u8]) {
    // SAFETY: the text has so many bytes.
    unsafe { call(call::WRITE, [2, text.as_ptr() as usize, text.len(), 0, 0, 0]) };
}

/// Ends the process.
pub(crate) fn exit(code: i32) -> ! {
    loop {
        // SAFETY: no memory is named.
        unsafe { call(call::EXIT_GROUP, [code as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Becomes a program; comes back with the error's number.
pub(crate) fn execute(program: *const u8, arguments: *const *const u8, variables: *const *const u8) -> i32 {
    // SAFETY: the arena's strings and lists end with zeros and nulls.
    let error =
        unsafe { call(call::EXECVE, [program as usize, arguments as usize, variables as usize, 0, 0, 0]) };
    -error as i32
}

/// A file's bytes.
pub(crate) fn file(path: *const u8) -> Option<&'static [u8]> {
    const AT_FDCWD: usize = -100_isize as usize;
    const O_CLOEXEC: usize = 0o2_000_000;
    const SEEK_END: usize = 2;
    // SAFETY: the arena's strings end with a zero.
    unsafe {
        let descriptor = call(call::OPENAT, [AT_FDCWD, path as usize, O_CLOEXEC, 0, 0, 0]);
        let descriptor = usize::try_from(descriptor).ok()?;
        let length = usize::try_from(call(call::LSEEK, [descriptor, 0, SEEK_END, 0, 0, 0])).ok()?;
        map(length, Some(descriptor)).map(|start| core::slice::from_raw_parts(start, length))
    }
}

/// Memory of so many bytes, all zero; the system gives it page by page, as it is written.
pub(crate) fn memory(length: usize) -> Option<&'static mut [u8]> {
    // SAFETY: nobody else has it.
    map(length, None).map(|start| unsafe { core::slice::from_raw_parts_mut(start, length) })
}

fn map(length: usize, descriptor: Option<usize>) -> Option<*mut u8> {
    const READ: usize = 1;
    const WRITE: usize = 2;
    const PRIVATE: usize = 2;
    const ANONYMOUS: usize = 0x20;
    let (rights, flags) = match descriptor {
        Some(_) => (READ, PRIVATE),
        None => (READ | WRITE, PRIVATE | ANONYMOUS),
    };
    let descriptor = descriptor.unwrap_or(usize::MAX);
    // SAFETY: it takes the place of nothing.
    let start = unsafe { call(call::MMAP, [0, length, rights, flags, descriptor, 0]) };
    (start > 0).then_some(start as *mut u8)
}

// The compiler calls these for copies, fillings and comparisons. Volatile, or it would make calls of themselves of them.

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: as the caller says.
    (0..length).for_each(|at| unsafe { to.add(at).write_volatile(from.add(at).read()) });
    to
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    if (to as usize) <= from as usize {
        // SAFETY: as the caller says; what is read has not been written yet.
        return unsafe { memcpy(to, from, length) };
    }
    // SAFETY: as the caller says.
    (0..length).rev().for_each(|at| unsafe { to.add(at).write_volatile(from.add(at).read()) });
    to
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    // SAFETY: as the caller says.
    (0..length).for_each(|at| unsafe { to.add(at).write_volatile(byte as u8) });
    to
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, length: usize) -> i32 {
    for at in 0..length {
        // SAFETY: as the caller says.
        let (a, b) = unsafe { (a.add(at).read_volatile(), b.add(at).read_volatile()) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, length: usize) -> i32 {
    // SAFETY: as the caller says.
    unsafe { memcmp(a, b, length) }
}
