//! What can keep a guest from being booted.

use std::path::PathBuf;

use lustre_files::help;

use super::needs;

/// A boot that could not be made. That a guest fails is no error but an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Process(#[from] crate::process::Error),
    #[error(transparent)]
    Needs(#[from] needs::Error),
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    /// A file of `specs/` does not say what it should.
    #[error("{}: {message}", lustre_files::shown(path))]
    Data { path: PathBuf, message: String },
    /// An emulator without the processor that the target's packages are compiled for.
    #[error(
        "{} cannot emulate a processor of the level {level}, which the distribution's packages are compiled for: {said}{}",
        lustre_files::shown(program),
        help!("QEMU 7.2 and later can emulate x86-64-v3")
    )]
    Cpu {
        /// The emulator.
        program: PathBuf,
        /// What is needed.
        level: crate::cpu::Level,
        said: String,
    },
    #[error(
        "QEMU is missing on this host: neither {} exists{}",
        needs::PROGRAMS.join(" nor "),
        help!("install the package qemu-system-x86 on Debian, qemu-kvm on Enterprise Linux and Fedora")
    )]
    NoQemu,
}
