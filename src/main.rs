//! The `beckon` binary.

use std::process::ExitCode;

/// A push, a row and an answer are many small things that one thread makes and another drops.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything can open a TLS connection. An error means that a provider is there already, which serves as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    beckon::cli::run()
}
