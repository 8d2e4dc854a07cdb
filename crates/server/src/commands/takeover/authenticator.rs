//! `angarium takeover helper`: the helper program on standard input and output.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use angarium_take_over::authenticator::{Configuration, serve};

use crate::commands::REFUSED;
use crate::commands::output::tell;

/// Largest configuration file, octets.
const MAX_FILE: u64 = 1 << 20;

/// Serves until the end of input.
pub(super) fn run(path: &Path) -> io::Result<u8> {
    let size = std::fs::metadata(path)?.len();
    if size > MAX_FILE {
        tell(&format!("angarium: {} is larger than {MAX_FILE} octets", path.display()));
        return Ok(REFUSED);
    }
    let text = std::fs::read_to_string(path)?;
    let configuration = match Configuration::read(&text) {
        Ok(configuration) => configuration,
        Err(why) => {
            tell(&format!("angarium: {}: {why}", path.display()));
            return Ok(REFUSED);
        }
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let open = |of: OwnedFd| tokio::fs::File::from_std(std::fs::File::from(of));
    let input = open(io::stdin().as_fd().try_clone_to_owned()?);
    let output = open(io::stdout().as_fd().try_clone_to_owned()?);
    let served = runtime.block_on(Box::pin(serve(configuration, input, output)));
    // Standard input may still be read by a thread of its own.
    runtime.shutdown_background();
    served.map(|()| 0)
}
