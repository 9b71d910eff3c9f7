//! Firefox with a certificate of its own: from the page's button to the port where cards are asked for, and back.

use super::authority::{Card, person};
use super::stage::Stage;
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn ran(program: &str, command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|error| panic!("{program}: {error}; scripts/install.sh test"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program}: {out}{err}");
    out.into_owned()
}

fn pem(of: &CertificateDer) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(of);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// What Firefox's page says once its user has come back with this card.
async fn firefox(stage: &Stage, card: &Card) -> Value {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    assert!(
        web.join("node_modules/esbuild").exists(),
        "the page's packages are missing: run `make web` first"
    );
    let file = |name: &str| stage.folder.join(name).to_str().unwrap().to_owned();
    std::fs::write(
        file("card.pem"),
        card.key.serialize_pem() + &card.chain.iter().map(pem).collect::<String>(),
    )
    .unwrap();
    let export =
        ["pkcs12", "-export", "-in", &file("card.pem"), "-out", &file("card.p12"), "-passout", "pass:card"];
    ran("openssl", Command::new("openssl").args(export));
    ran("node", Command::new("node").args(["build.mjs", "--e2e"]).current_dir(&web));
    let mut driver = Command::new("node");
    driver.arg(web.join("e2e/dist/run.mjs")).args(["firefox", stage.home.as_str(), "card"]);
    driver.env("CHEVET_CARD", file("card.p12")).env("CHEVET_LANGUAGE", "fr").env("TMPDIR", &stage.folder);
    let said = tokio::task::spawn_blocking(move || ran("the browser", &mut driver));
    let said = tokio::time::timeout(Duration::from_secs(120), said).await.expect("it comes back").unwrap();
    let mut steps = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    steps.find(|step| step["step"] == "back").unwrap_or_else(|| panic!("{said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_signs_in_with_a_good_card_and_says_what_is_wrong_with_another() {
    let stage = Stage::set("firefox", "create = true").await;
    let back = firefox(&stage, &stage.hospital.cards.issue(&person("anne", 90))).await;
    assert_eq!((back["told"].as_str(), back["url"].as_str()), (Some("Anne Roy"), Some(stage.home.as_str())));
    stage.recorded(&["\"signed_in\"", "serial 5a"]).await;
    stage.hospital.revoke(&stage.folder, &[91], std::time::SystemTime::now() + super::authority::HOUR);
    let back = firefox(&stage, &stage.hospital.cards.issue(&person("paul", 91))).await;
    assert!(back["told"].as_str().unwrap().contains("révoquée"), "{back}");
}
