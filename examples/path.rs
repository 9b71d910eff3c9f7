//! Makes the way between two processes of this machine a bad network, by hand:
//! `cargo run --example path -- --profile 4g --udp 127.0.0.1:5000:127.0.0.1:4380 --tcp 127.0.0.1:5000:127.0.0.1:4380 --seed 1`.
//! Prints what the path saw as JSON, once a second.

#[path = "../tests/paths/model.rs"]
mod model;
#[path = "../tests/paths/relay.rs"]
mod relay;

use clap::Parser;
use std::net::SocketAddr;
use std::time::Duration;

/// Relays UDP and TCP over the model of a network.
#[derive(Parser)]
struct Arguments {
    /// lan, wifi, adsl, 4g or dead-spot.
    #[arg(long)]
    profile: String,
    /// LISTEN:TO, each ADDRESS:PORT (IPv4).
    #[arg(long)]
    udp: Vec<String>,
    /// LISTEN:TO, each ADDRESS:PORT (IPv4).
    #[arg(long)]
    tcp: Vec<String>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn addresses(text: &str) -> Result<(SocketAddr, SocketAddr), String> {
    let wrong = || format!("{text:?} is not LISTEN:TO, such as 127.0.0.1:5000:127.0.0.1:4380");
    let (at, _) = text.match_indices(':').nth(1).ok_or_else(wrong)?;
    let read = |text: &str| text.parse().map_err(|_| wrong());
    Ok((read(&text[..at])?, read(&text[at + 1..])?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let profile = model::Profile::named(&arguments.profile).ok_or_else(|| {
        let names = model::PROFILES.map(|profile| profile.name).join(", ");
        format!("there is no profile {:?}; there are {names}", arguments.profile)
    })?;
    let relay = relay::Relay::new(profile, arguments.seed);
    for text in &arguments.udp {
        let (listen, to) = addresses(text)?;
        relay.udp(listen, to).await?;
    }
    for text in &arguments.tcp {
        let (listen, to) = addresses(text)?;
        relay.tcp(listen, to).await?;
    }
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!("{}", relay.report());
    }
}
