//! `somo` itself, as a binary of this package: cargo tells tests only of those where it lies.

fn main() -> std::process::ExitCode {
    cli::main()
}
