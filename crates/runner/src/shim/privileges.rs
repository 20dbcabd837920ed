//! Taking rights from a child between its beginning and its program: prepared by the shim, done by the child with system
//! calls alone. It knows no container.

use crate::rights::Rights;

/// What the child does, as plain numbers.
pub(crate) struct Privileges {
    is_fixed: bool,
    without: Vec<u8>,
    groups: Option<Vec<libc::gid_t>>,
    /// Empty: none.
    filter: Vec<libc::sock_filter>,
}

impl Privileges {
    /// Capabilities that this kernel does not know are nobody's, and left out.
    pub(crate) fn of(rights: &Rights) -> Privileges {
        let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
        let last: u8 = last.trim().parse().unwrap_or(u8::MAX);
        let is_ordinary = !nix::unistd::geteuid().is_root();
        Privileges {
            // Without rights over the machine a filter is taken only from who gives new ones up.
            is_fixed: rights.is_fixed || (rights.is_filtered && is_ordinary),
            without: rights.without.iter().copied().filter(|number| *number <= last).collect(),
            groups: rights.groups.clone(),
            filter: if rights.is_filtered { filter() } else { Vec::new() },
        }
    }

    /// Takes them. False: one call failed, `errno` says why.
    ///
    /// # Safety
    /// To be called in a child that shares its parent's memory: nothing here allocates, locks or panics. The calls are
    /// made without the C library, which would make them in all threads of what it takes for its process.
    pub(crate) unsafe fn take(&self) -> bool {
        // SAFETY: numbers, and pointers to lists of the length that is said, which the parent keeps.
        unsafe {
            if let Some(groups) = &self.groups
                && libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) < 0
            {
                return false;
            }
            for number in &self.without {
                if libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(*number), 0, 0, 0) < 0 {
                    return false;
                }
            }
            if self.is_fixed && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 {
                return false;
            }
            if self.filter.is_empty() {
                return true;
            }
            let program = libc::sock_fprog {
                len: self.filter.len() as libc::c_ushort,
                filter: self.filter.as_ptr().cast_mut(),
            };
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) >= 0
        }
    }
}

/// What no job needs, and what reaches beyond it: the machine's kernel, clock, mounts, keys and other processes' secrets
/// (after the default profile of container runtimes, which lists what is allowed instead).
const REFUSED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];

/// Flags of clone(2) that make namespaces.
const NAMESPACES: u32 = 0x7e02_0000;
/// Of `struct seccomp_data`: the number, the architecture, the lower half of the first argument (both are little-endian).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST: u32 = 16;
/// `linux/audit.h`.
#[cfg(target_arch = "x86_64")]
const OURS: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const OURS: u32 = 0xc000_00b7;
/// System calls from here on are those of x32, by other numbers.
const X32: u32 = 0x4000_0000;

/// The filter as the kernel runs it (seccomp(2)): a number that is refused answers EPERM.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn filter() -> Vec<libc::sock_filter> {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |offset| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
    let answer = |k| step(libc::BPF_RET | libc::BPF_K, 0, 0, k);
    // Without a jump of more than two steps nothing has to be counted.
    let unless = |comparison: u32, k| step(libc::BPF_JMP | comparison | libc::BPF_K, 0, 1, k);
    let refuse = |errno: i32| answer(libc::SECCOMP_RET_ERRNO | errno.unsigned_abs());
    let equal = libc::BPF_JEQ;
    let mut steps =
        vec![load(ARCHITECTURE), step(libc::BPF_JMP | equal | libc::BPF_K, 1, 0, OURS), refuse(libc::EPERM)];
    steps.push(load(NUMBER));
    steps.extend([unless(libc::BPF_JGE, X32), refuse(libc::EPERM)]);
    for number in REFUSED {
        steps.extend([unless(equal, *number as u32), refuse(libc::EPERM)]);
    }
    // Its flags lie in memory, where a filter cannot look: whoever calls it then takes clone(2).
    steps.extend([unless(equal, libc::SYS_clone3 as u32), refuse(libc::ENOSYS)]);
    let else_allow = step(libc::BPF_JMP | equal | libc::BPF_K, 1, 0, libc::SYS_clone as u32);
    steps.extend([else_allow, answer(libc::SECCOMP_RET_ALLOW), load(FIRST)]);
    steps.extend([unless(libc::BPF_JSET, NAMESPACES), refuse(libc::EPERM), answer(libc::SECCOMP_RET_ALLOW)]);
    steps
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn filter() -> Vec<libc::sock_filter> {
    Vec::new()
}
