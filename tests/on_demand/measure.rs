//! How long it takes from the click to the application's exact pixels. Run it by hand, in release:
//! `cargo test --release --test on_demand -- --ignored --nocapture start_on_demand`

use crate::stage::{RECORD, Stage, application, painter, until_shows, view};
use chevet::client::{Client, Roads};
use hyper::Method;
use std::time::{Duration, Instant};

const STARTS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; see docs/performance.md"]
async fn start_on_demand() {
    let script = painter(RECORD);
    let stage = Stage::open("measure", &application("record", &script, "")).await;
    let host = stage.host("app-1", "['record']", "").await;
    let anne = stage.sign_in("anne", "").await;
    let mut stages: [Vec<Duration>; 4] = Default::default();
    let mut resumed = Vec::new();
    for _ in 0..STARTS {
        let click = Instant::now();
        let address = anne.address("record").await.unwrap();
        let ticket = click.elapsed();
        let session = address.session.clone();
        let mut client = Client::connect_by(address, Roads::OnlyQuic, (0, 0)).await.unwrap();
        let attached = click.elapsed();
        until_shows(&mut client, RECORD).await;
        let shown = click.elapsed();
        stages[0].push(ticket);
        stages[1].push(attached - ticket);
        stages[2].push(shown - attached);
        stages[3].push(shown);
        drop(client);
        let click = Instant::now();
        let mut client = view(&anne, "record").await;
        until_shows(&mut client, RECORD).await;
        resumed.push(click.elapsed());
        drop(client);
        anne.ask(Method::POST, &format!("/api/sessions/{session}/end"), None).await.unwrap();
        host.until_clean().await;
    }
    for line in host.log().lines().filter(|line| line.contains("server_ms")) {
        println!("{}", line.split("server_ms").nth(1).unwrap_or_default());
    }
    let names = ["asked to ticket", "ticket to link", "link to exact pixels", "click to exact pixels"];
    for (name, times) in names.into_iter().zip(&mut stages) {
        report(name, times);
    }
    report("again, already running", &mut resumed);
}

fn report(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3;
    println!("{name:24} p50 {:6.0} ms  p95 {:6.0} ms", at(0.5), at(0.95));
}
