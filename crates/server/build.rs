//! Lets the linker find PAM's library where only the part is installed that programs need to run,
//! as on every Linux, and not the one for building them.

use std::path::{Path, PathBuf};

/// The name that the linker looks for.
const WANTED: &str = "libpam.so";
/// The name under which it is installed for running.
const INSTALLED: &str = "libpam.so.0";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let set = |name: &str| std::env::var_os(name);
    // Another machine's library would be of no use.
    if set("CARGO_FEATURE_OS_PASSWORDS").is_none() || set("TARGET") != set("HOST") {
        return;
    }
    let machine = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let mut directories: Vec<PathBuf> =
        ["/usr/lib64", "/lib64", "/usr/lib", "/lib"].map(PathBuf::from).into();
    for root in ["/usr/lib", "/lib"] {
        directories.push(format!("{root}/{machine}-linux-gnu").into());
    }
    if directories.iter().any(|directory| directory.join(WANTED).exists()) {
        return;
    }
    let found = directories.iter().map(|at| at.join(INSTALLED)).find(|path| path.exists());
    if let (Some(found), Some(out)) = (found, set("OUT_DIR")) {
        offer(&found, Path::new(&out));
    }
}

/// Puts the library where the linker looks, under the name it looks for.
fn offer(library: &Path, out: &Path) {
    let link = out.join(WANTED);
    let _ = std::fs::remove_file(&link);
    match std::os::unix::fs::symlink(library, &link) {
        Ok(()) => println!("cargo:rustc-link-search=native={}", out.display()),
        Err(error) => println!("cargo:warning={} cannot be offered: {error}", library.display()),
    }
}
