//! Which system calls a sandbox refuses: those that no build and no package needs, and that reach the kernel or the host rather than
//! what is inside. All else stays allowed: a sandbox that lacks a capability or sees no file has no need of a second no.
//!
//! A refused call is one that the kernel does not have (`ENOSYS`): programs know what to do then.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::OnceLock;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Calls that are refused whatever their arguments are.
const REFUSED: &[i64] = &[
    // Mounts, old and new: what is seen inside is decided outside.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    // Other namespaces. The arguments of clone3 cannot be looked at; libraries then use clone.
    libc::SYS_setns,
    libc::SYS_clone3,
    // The kernel itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_vhangup,
    // Files by handle, past every folder on the way.
    libc::SYS_open_by_handle_at,
    // Keyrings know no namespaces.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Large parts of the kernel that nothing here has a use for.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];

/// The flags that ask `clone` and `unshare` for new namespaces.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// The sockets that there are: all others reach past the network of the sandbox (to the host of a virtual machine, for one), or are
/// drivers that nothing here has a use for.
const SOCKETS: [i32; 4] = [
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
];

/// What puts words into somebody's terminal.
const INPUT: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// The bit of calls by the numbers of x32, which mean the same.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

fn argument(number: u8, operator: SeccompCmpOp, value: u64) -> io::Result<SeccompCondition> {
    SeccompCondition::new(number, SeccompCmpArgLen::Dword, operator, value)
        .map_err(io::Error::other)
}

fn when(conditions: Vec<SeccompCondition>) -> io::Result<SeccompRule> {
    SeccompRule::new(conditions).map_err(io::Error::other)
}

/// An `i32` of a header as the kernel gets it.
fn bits(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

/// The program, for the processor that this runs on.
fn program() -> io::Result<BpfProgram> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let namespaces = || -> io::Result<Vec<SeccompRule>> {
        NAMESPACES
            .iter()
            .map(|flag| {
                let flag = bits(*flag);
                when(vec![argument(0, SeccompCmpOp::MaskedEq(flag), flag)?])
            })
            .collect()
    };
    rules.insert(libc::SYS_clone, namespaces()?);
    rules.insert(libc::SYS_unshare, namespaces()?);
    let other: io::Result<Vec<_>> = SOCKETS
        .iter()
        .map(|family| argument(0, SeccompCmpOp::Ne, bits(*family)))
        .collect();
    rules.insert(libc::SYS_socket, vec![when(other?)?]);
    let input: io::Result<Vec<_>> = INPUT
        .iter()
        .map(|request| when(vec![argument(1, SeccompCmpOp::Eq, *request)?]))
        .collect();
    rules.insert(libc::SYS_ioctl, input?);
    #[cfg(target_arch = "x86_64")]
    {
        let again: Vec<_> = rules
            .iter()
            .map(|(call, rules)| (call | X32, rules.clone()))
            .collect();
        rules.extend(again);
    }
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        std::env::consts::ARCH
            .try_into()
            .map_err(io::Error::other)?,
    )
    .map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
}

/// The program as the kernel takes it: structures of 16, 8, 8 and 32 bits.
fn bytes() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for instruction in program()? {
        bytes.extend(instruction.code.to_ne_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
    }
    Ok(bytes)
}

/// The file that has the program, for as long as this process lives.
pub(super) fn file() -> io::Result<PathBuf> {
    static MADE: OnceLock<File> = OnceLock::new();
    if let Some(file) = MADE.get() {
        return Ok(super::ids::path_of(file));
    }
    let file = rustix::fs::memfd_create("system-calls", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = File::from(file);
    file.write_all(&bytes()?)?;
    Ok(super::ids::path_of(MADE.get_or_init(|| file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_takes_a_program_of_this_size() {
        let bytes = bytes().unwrap();
        assert_eq!(bytes.len() % 8, 0);
        // The kernel's limit is 4096 instructions.
        assert!((50..4096).contains(&(bytes.len() / 8)), "{}", bytes.len());
    }
}
