//! What signs nobody in: each is told to its holder, recorded, and tells a stranger nothing.

use super::authority::{Authority, Card, HOUR, person};
use super::holder::{Holder, show, tls};
use super::stage::Stage;
use chevet::identity::add_user;
use chevet::store::Role;
use rcgen::{DistinguishedName, ExtendedKeyUsagePurpose};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Shows a card as a browser and as a program: both are refused for this, and it is recorded.
async fn refused(stage: &Stage, card: Option<&Card>, code: &str, recorded: &str) {
    let mut holder = stage.holder(card);
    assert_eq!(stage.sign_in(&mut holder).await, format!("error={code}"));
    assert!(stage.me(&mut holder).await.is_none());
    let page = stage.sign_in_program(&mut stage.holder(card)).await;
    assert_eq!((page.status.as_u16(), page.json()["error"].as_str()), (401, Some(code)), "{}", page.text);
    assert!(!page.json()["reason"].as_str().unwrap().is_empty() && page.json()["token"].is_null());
    let record = stage.recorded(&["sign_in_refused", "\"method\":\"card\"", recorded]).await;
    assert_eq!(record.contains("issuer sha256"), card.is_some(), "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_does_not_hold_is_refused_with_the_reason() {
    let stage = Stage::set("bad", "create = true").await;
    let (cards, now) = (&stage.hospital.cards, SystemTime::now());
    let mut expired = person("anne", 20);
    (expired.not_before, expired.not_after) = ((now - 2 * HOUR).into(), (now - HOUR).into());
    refused(&stage, Some(&cards.issue(&expired)), "card-expired", "has expired").await;
    let mut early = person("anne", 21);
    (early.not_before, early.not_after) = ((now + HOUR).into(), (now + 2 * HOUR).into());
    refused(&stage, Some(&cards.issue(&early)), "card-early", "not valid yet").await;
    let other = Authority::root("Other Root").under("Hospital Cards", 10);
    refused(&stage, Some(&other.issue(&person("anne", 22))), "card-authority", "none of the authorities")
        .await;
    let own = Card::self_signed(&person("anne", 23));
    refused(&stage, Some(&own), "card-authority", "none of the authorities").await;
    refused(&stage, None, "card-missing", "no certificate").await;
    assert!(stage.store().users("", 9).await.unwrap().is_empty(), "nobody was made");
    assert!(!stage.journal().contains("\"signed_in\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_for_something_else_or_under_a_withdrawn_authority_is_refused() {
    let stage = Stage::set("purpose", "create = true").await;
    let cards = &stage.hospital.cards;
    let mut server = person("anne", 24);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    refused(&stage, Some(&cards.issue(&server)), "card-purpose", "not made for this").await;
    let old = &stage.hospital.withdrawn;
    refused(&stage, Some(&old.issue(&person("anne", 25))), "card-revoked", "authority's, is revoked").await;
    // An authority that has no list vouches for nobody.
    let silent = stage.hospital.root.under("Silent Cards", 12);
    refused(&stage, Some(&silent.issue(&person("anne", 26))), "card-unchecked", "there is no list").await;
    // A card under a good authority that plays authority itself.
    let mut impostor = Authority::root("Hospital Cards");
    impostor.certificate = cards_certificate(cards);
    refused(&stage, Some(&impostor.issue(&person("anne", 27))), "card-authority", "none of the authorities")
        .await;
    let mut nameless = person("anne", 28);
    nameless.distinguished_name = DistinguishedName::new();
    refused(&stage, Some(&cards.issue(&nameless)), "card-unknown", "names nobody").await;
    assert!(stage.store().users("", 9).await.unwrap().is_empty());
}

fn cards_certificate(of: &Authority) -> rcgen::Certificate {
    of.certificate.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_too_old_lets_nobody_in_unless_it_is_allowed() {
    for (more, said) in [("", "error=card-unchecked"), ("stale_revocation = 'accept'", "")] {
        let stage =
            Stage::set(if said.is_empty() { "stale-ok" } else { "stale" }, &format!("create = true\n{more}"))
                .await;
        let card = stage.hospital.cards.issue(&person("anne", 77));
        let mut before = stage.holder(Some(&card));
        assert_eq!(stage.sign_in(&mut before).await, "");
        stage.hospital.revoke(&stage.folder, &[], SystemTime::now() - Duration::from_secs(60));
        assert_eq!(stage.sign_in(&mut stage.holder(Some(&card))).await, said);
        // A late list ends nobody's work; one who is on it stays out even so.
        assert!(stage.me(&mut before).await.is_some());
        stage.hospital.revoke(&stage.folder, &[77], SystemTime::now() - Duration::from_secs(60));
        assert_ne!(stage.sign_in(&mut stage.holder(Some(&card))).await, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_card_that_opens_nothing_is_not_told_why_neither_in_words_nor_by_the_time() {
    let stage = Stage::set("unknown", "link = true\nuser_prefix = '8'").await;
    let store = stage.store();
    let id = add_user(store, "anne", "Anne", Role::User, &[], 0).await.unwrap();
    store.enable_user(&id, false).await.unwrap();
    let (bound, other) =
        ("subject:2.5.4.3=other", add_user(store, "other", "", Role::User, &[], 0).await.unwrap());
    store.bind_identity("card", bound, &other, 0).await.unwrap();
    let other_name = add_user(store, "taken", "", Role::User, &[], 0).await.unwrap();
    store.bind_identity("card", "subject:2.5.4.3=somebody", &other_name, 0).await.unwrap();
    let mut answers = Vec::new();
    for (name, recorded) in
        [("8anne", "is disabled"), ("8nobody", "makes no new users"), ("8taken", "belongs to another")]
    {
        let card = stage.hospital.cards.issue(&person(name, 30));
        refused(&stage, Some(&card), "card-unknown", recorded).await;
        let began = Instant::now();
        let mut page = stage.sign_in_program(&mut stage.holder(Some(&card))).await;
        assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
        page.headers.remove("date");
        answers.push((page.status, page.headers, page.text));
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
    // Nor what a name should look like.
    let unmapped = stage.hospital.cards.issue(&person("anne", 31));
    refused(&stage, Some(&unmapped), "card-unknown", "not of the form").await;
    let good = stage.hospital.cards.issue(&person("8other", 32));
    assert_eq!(stage.sign_in(&mut stage.holder(Some(&good))).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_without_its_key_and_older_tls_end_with_the_handshake() {
    let stage = Stage::set("handshake", "create = true").await;
    let (annes, eves) =
        (stage.hospital.cards.issue(&person("anne", 77)), stage.hospital.cards.issue(&person("eve", 78)));
    // Anne's certificate is no secret; her key is.
    let mut config = tls(stage.pin, None);
    show(&mut config, annes.chain.clone(), &eves);
    let asked = Holder::with(config).ask(&stage.asking, "GET", None).await;
    assert!(asked.is_err(), "{asked:?}");
    stage.recorded(&["sign_in_refused", "the handshake failed"]).await;

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut old = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    show(&mut old, annes.chain.clone(), &annes);
    let asked = Holder::with(old).ask(&stage.asking, "GET", None).await;
    assert!(asked.unwrap_err().contains("ProtocolVersion"), "it is refused before anything is shown");
    stage.recorded(&["sign_in_refused", "handshake failed: peer is incompatible"]).await;
    assert!(!stage.journal().contains("\"signed_in\""));
}
