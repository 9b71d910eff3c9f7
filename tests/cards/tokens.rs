//! `chevet view --card` with cards of SoftHSM: the key is on a token, and its signature is made there.

use super::authority::{Card, person};
use super::stage::Stage;
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, RsaKeySize};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "271828";

/// Tokens in a folder of their own.
struct Tokens {
    folder: PathBuf,
}

impl Tokens {
    fn new(stage: &Stage) -> Tokens {
        let folder = stage.folder.join("softhsm");
        std::fs::create_dir_all(folder.join("tokens")).unwrap();
        let config = format!("directories.tokendir = {}/tokens\nlog.level = ERROR\n", folder.display());
        std::fs::write(folder.join("softhsm2.conf"), config).unwrap();
        std::fs::write(folder.join("pin"), format!("{PIN}\n")).unwrap();
        Tokens { folder }
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let run = self.with(Command::new(program).args(arguments)).output();
        let run = run.unwrap_or_else(|error| panic!("{program}: {error}; scripts/install.sh test"));
        assert!(run.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    }

    fn with<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("SOFTHSM2_CONF", self.folder.join("softhsm2.conf"))
    }

    fn empty(&self, label: &str) {
        let new = ["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "3141592653"];
        self.run("softhsm2-util", &new);
    }

    /// Puts a card's key and certificates on a new token.
    fn put(&self, label: &str, card: &Card) {
        self.empty(label);
        let file = |name: &str| self.folder.join(name).to_str().unwrap().to_owned();
        std::fs::write(file("key.pem"), card.key.serialize_pem()).unwrap();
        let import =
            ["--token", label, "--pin", PIN, "--label", "anne", "--id", "01", "--import", &file("key.pem")];
        self.run("softhsm2-util", &import);
        for (at, der) in card.chain.iter().enumerate() {
            std::fs::write(file("certificate.der"), der).unwrap();
            let id = format!("0{}", at + 1);
            let write =
                ["--module", MODULE, "--token-label", label, "--login", "--pin", PIN, "--write-object"];
            let object = [&file("certificate.der"), "--type", "cert", "--id", &id];
            self.run("pkcs11-tool", &[&write[..], &object[..]].concat());
        }
    }

    fn view(&self, stage: &Stage, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
        self.with(&mut command)
            .args(["view", "--headless", "--card", "--pkcs11", MODULE, "--road", "quic"])
            .args(more)
            .arg(format!("{}#session=desk", stage.home))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn pin_file(&self) -> String {
        self.folder.join("pin").to_str().unwrap().to_owned()
    }
}

async fn run(mut command: Command) -> Output {
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    tokio::time::timeout(Duration::from_secs(30), run).await.expect("it ends within 30 s").unwrap()
}

/// What it says when it fails.
async fn failure(command: Command) -> String {
    let output = run(command).await;
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// A viewer that runs until it ends, or its test does.
struct Viewing(Child);

impl Viewing {
    async fn until(&mut self, there: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !there() {
            assert!(Instant::now() < end && self.0.try_wait().unwrap().is_none(), "{}", self.ended().await.1);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether it went well, and what it said.
    async fn ended(&mut self) -> (bool, String) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.0.try_wait().unwrap().is_none() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let _ = self.0.kill();
        let status = self.0.wait().unwrap();
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status.success(), said)
    }
}

impl Drop for Viewing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const NURSES: &str = "create = true\nissuer_groups = { 'Hospital Cards' = 'nurses' }";

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_kind_sign_on_their_card() {
    let stage = Stage::set("tokens", NURSES).await;
    let tokens = Tokens::new(&stage);
    let keys = [
        ("rsa", KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()),
        ("p256", KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()),
        ("p384", KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()),
    ];
    let mut serial = 40;
    for (kind, key) in keys {
        serial += 1;
        tokens.put(kind, &stage.hospital.cards.issue_for(&person(kind, serial), key));
        let picture = tokens.folder.join(format!("{kind}.png"));
        let pin = tokens.pin_file();
        let more = ["--token", kind, "--pin-file", &pin, "--screenshot", picture.to_str().unwrap()];
        let output = run(tokens.view(&stage, &more)).await;
        assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(Path::new(&picture).metadata().unwrap().len() > 100);
        let name = format!("\"user\":\"{kind}\"");
        stage.recorded(&["\"signed_in\"", &name, &format!("serial {serial:02x}")]).await;
    }
    // Which one is meant is not guessed.
    let several = failure(tokens.view(&stage, &["--pin-file", &tokens.pin_file()])).await;
    assert!(several.contains("--token") && several.contains("p384"), "{several}");
    let not_there = failure(tokens.view(&stage, &["--token", "x", "--pin-file", &tokens.pin_file()])).await;
    assert!(not_there.contains("no card is called") && not_there.contains("rsa"), "{not_there}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_card_is_said_with_what_to_do() {
    let stage = Stage::set("token-errors", NURSES).await;
    let tokens = Tokens::new(&stage);
    let pin = tokens.pin_file();
    let none = failure(tokens.view(&stage, &["--pin-file", &pin])).await;
    assert!(none.contains("no card in the reader"), "{none}");
    let mut no_module = Command::new(env!("CARGO_BIN_EXE_chevet"));
    no_module.args(["view", "--headless", "--card", "--pkcs11", "/no/such/module.so", stage.home.as_str()]);
    let no_module = failure(no_module).await;
    assert!(no_module.contains("/no/such/module.so cannot be used"), "{no_module}");

    let mut server = person("anne", 50);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    tokens.put("server", &stage.hospital.cards.issue(&server));
    let no_certificate = failure(tokens.view(&stage, &["--token", "server", "--pin-file", &pin])).await;
    assert!(no_certificate.contains("no certificate for signing in"), "{no_certificate}");

    tokens.put("anne", &stage.hospital.cards.issue(&person("anne", 51)));
    let asked = failure(tokens.view(&stage, &["--token", "anne"])).await;
    assert!(asked.contains("--pin-file"), "{asked}");
    let wrong = tokens.folder.join("wrong");
    std::fs::write(&wrong, "000000").unwrap();
    let wrong =
        failure(tokens.view(&stage, &["--token", "anne", "--pin-file", wrong.to_str().unwrap()])).await;
    assert!(wrong.contains("the PIN of anne is wrong") && !wrong.contains("000000"), "{wrong}");

    stage.hospital.revoke(&stage.folder, &[51], std::time::SystemTime::now() + super::authority::HOUR);
    let revoked = failure(tokens.view(&stage, &["--token", "anne", "--pin-file", &pin])).await;
    assert!(revoked.contains("revoked"), "{revoked}");
    let journal = stage.journal();
    assert!(!journal.contains("\"signed_in\"") && !journal.contains(PIN));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_taken_out_locks_the_viewer_and_the_session_goes_on() {
    let stage = Stage::set("token-out", NURSES).await;
    let tokens = Tokens::new(&stage);
    tokens.put("anne", &stage.hospital.cards.issue(&person("anne", 60)));
    let (pin, mirror) = (tokens.pin_file(), tokens.folder.join("mirror"));
    let mut viewing = Viewing(
        tokens.view(&stage, &["--pin-file", &pin, "--mirror", mirror.to_str().unwrap()]).spawn().unwrap(),
    );
    viewing.until(|| stage.journal().contains("\"attached\"")).await;
    viewing.until(|| mirror.exists()).await;
    std::fs::remove_dir_all(tokens.folder.join("tokens")).unwrap();
    let (well, said) = viewing.ended().await;
    assert!(!well && said.contains("the card was taken out"), "{said}");
    assert!(!mirror.exists(), "its pixels are still there");
    stage.recorded(&["signed_out", "anne"]).await;
    assert_eq!(stage.gateway.registry().list()[0].state, "live");
}
