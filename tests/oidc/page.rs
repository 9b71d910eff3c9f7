//! The page in a real browser: its button, the way there and back, and the way out.

use super::stage::{Stage, anne};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Runs a scenario of src/web/e2e, and returns its steps.
fn run(url: &str, scenario: &str, folder: &Path) -> Vec<Value> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    assert!(web.join("node_modules/esbuild").exists(), "run `make web` first");
    let built = Command::new("node").args(["build.mjs", "--e2e"]).current_dir(&web).status().unwrap();
    assert!(built.success(), "the browsers' driver could not be built");
    let ran = Command::new("node")
        .arg(web.join("e2e/dist/run.mjs"))
        .args(["chromium", url, scenario])
        .arg(folder.join("page.png"))
        .env("CHEVET_LANGUAGE", "fr")
        .env("TMPDIR", folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{said}");
    said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_the_button_signs_in_and_signing_out_goes_on_to_the_provider() {
    let stage = Stage::set("page", "create = true\nsign_out_there = true").await;
    stage.provider.tell(anne(json!({}))).await;
    let (url, folder) = (stage.home.to_string(), stage.folder().to_owned());
    let steps = tokio::task::spawn_blocking(move || run(&url, "provider", &folder)).await.unwrap();
    let step = |name: &str| {
        let found = steps.iter().find(|step| step["step"] == name);
        found.unwrap_or_else(|| panic!("no {name}: {steps:?}"))
    };
    assert_eq!(step("offered")["title"], "Se connecter avec Test");
    assert_eq!((&step("in")["who"], &step("in")["url"]), (&json!("Anne Roy"), &json!(stage.home.as_str())));
    let out = step("out")["url"].as_str().unwrap();
    assert!(out.starts_with(&format!("{}session/end?id_token_hint=", stage.provider.url)), "{out}");
    assert!(step("told")["problem"].as_str().unwrap().contains("pas assez sûr"), "{steps:?}");
    assert_eq!(step("told")["url"], stage.home.as_str(), "the address says nothing any more");
    let admin = step("admin");
    assert_eq!(admin["url"], stage.home.join("admin").unwrap().as_str());
    assert!(
        admin["problem"].as_str().unwrap().contains("rôle"),
        "somebody came back, who is no administrator: {admin}"
    );
    assert!(stage.recorded(&["signed_out", "asked for"]).await);
}
