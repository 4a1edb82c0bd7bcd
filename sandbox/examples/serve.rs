//! A sandbox alone: `cargo run -p sandbox --example serve [-- 127.0.0.1:4010 [webhook]]`.

use std::net::SocketAddr;

use anyhow::Context;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    _ = rustls::crypto::ring::default_provider().install_default(); // an error only says that there is one
    let mut arguments = std::env::args().skip(1);
    let bind = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:4010".into())
        .parse::<SocketAddr>()
        .context("give an address such as 127.0.0.1:4010")?;
    let sandbox = sandbox::start(sandbox::Options { bind, webhook: arguments.next(), ..Default::default() }).await?;
    std::io::Write::write_all(&mut std::io::stdout(), format!("{}/phone\n", sandbox.url()).as_bytes())?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
