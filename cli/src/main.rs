//! The `somo` binary.

fn main() -> std::process::ExitCode {
    cli::main()
}
