//! Tests that need what the project does not have run where a variable says where it is. Elsewhere they are skipped, with the reason.

use std::env;

/// The variables, and what the tests ask for.
const VARIABLES: [(&str, &str); 3] = [
    ("LUSTRE_GIT", "lustre_git"),
    ("EL_KERNEL_GIT", "el_kernel_git"),
    ("EL_KERNELS", "el_kernels"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for (variable, name) in VARIABLES {
        println!("cargo::rustc-check-cfg=cfg({name})");
        println!("cargo::rerun-if-env-changed={variable}");
        if env::var_os(variable).is_some_and(|place| !place.is_empty()) {
            println!("cargo::rustc-cfg={name}");
        }
    }
}
