//! What signs people in by card, and what ends it.

use super::authority::{HOUR, person};
use super::holder::Holder;
use super::stage::Stage;
use rustls::HandshakeKind;
use serde_json::json;
use std::time::{Duration, SystemTime};

const NURSES: &str = "create = true\nissuer_groups = { 'Hospital Cards' = 'nurses' }";

#[tokio::test(flavor = "multi_thread")]
async fn a_good_card_signs_its_person_in_and_the_record_names_the_certificate_alone() {
    let stage = Stage::set("good", NURSES).await;
    let card = stage.hospital.cards.issue(&person("Anne.Roy", 0x0051_7e99));
    let mut holder = stage.holder(Some(&card));
    assert_eq!(stage.sign_in(&mut holder).await, "");
    let me = stage.me(&mut holder).await.unwrap();
    let user = json!({"name": "anne.roy", "title": "Anne Roy", "role": "user", "groups": ["nurses"]});
    assert_eq!(me, json!({"user": user, "seat": "Room 12"}));
    let record = stage.recorded(&["\"signed_in\"", "\"method\":\"card\""]).await;
    assert!(record.contains("serial 517e99, issuer sha256 ") && record.contains("anne.roy"), "{record}");
    stage.recorded(&["user_changed", "created for subject:2.5.4.3=anne.roy of card"]).await;
    // The same person with another card is the same user; so is a program of theirs.
    let renewed = stage.hospital.cards.issue(&person("anne.roy", 78));
    let answer = stage.sign_in_program(&mut stage.holder(Some(&renewed))).await.json();
    assert_eq!(
        (&answer["user"]["name"], &answer["seat"]),
        (&json!("anne.roy"), &json!("ward-2")),
        "{answer}"
    );
    let mut program = Holder::default();
    program.cookies.insert("chevet".into(), answer["token"].as_str().unwrap().to_owned());
    assert!(stage.me(&mut program).await.is_some());
    assert_eq!(stage.store().users("", 9).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_over_is_good_once_and_in_the_browser_that_began() {
    let stage = Stage::set("once", NURSES).await;
    let card = stage.hospital.cards.issue(&person("anne", 77));
    // Somebody who is made to open a stranger's address signs nobody in: neither there nor here.
    let mut stranger = stage.holder(None);
    let there = stranger.get(&stage.at("api/cards/start")).await.location.unwrap();
    let mut anne = stage.holder(Some(&card));
    let back = anne.get(&there).await.location.unwrap();
    assert_eq!(back.path(), "/api/cards/finish");
    assert_eq!(anne.get(&back).await.fragment(), "error=card-late");
    assert_eq!(stranger.get(&back).await.fragment(), "error=card-late", "it was taken");
    assert!(stage.me(&mut anne).await.is_none() && stage.me(&mut stranger).await.is_none());
    // Neither the state nor the code is good twice.
    assert_eq!(anne.get(&there).await.fragment(), "error=card-late");
    let back = stage.show(&mut anne).await.location.unwrap();
    assert_eq!(anne.get(&back).await.location.unwrap(), stage.home);
    assert_eq!(anne.get(&back).await.fragment(), "error=card-late");
    for nonsense in ["", "?state=", "?state=guessed", "?state=a&page=https://evil.example/"] {
        let page = anne.get(&stage.asking.join(nonsense).unwrap()).await;
        assert_eq!(page.location.unwrap(), stage.at("#error=card-late"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_pages_get_nothing_of_a_card_that_is_there() {
    let stage = Stage::set("sites", NURSES).await;
    let card = stage.hospital.cards.issue(&person("anne", 77));
    let mut holder = stage.holder(Some(&card));
    holder.headers = vec![("origin", "https://evil.example".into())];
    assert_eq!(stage.sign_in_program(&mut holder).await.status, 403);
    holder.headers = vec![("sec-fetch-site", "cross-site".into())];
    assert_eq!(stage.sign_in_program(&mut holder).await.status, 403);
    holder.headers = vec![("sec-fetch-dest", "image".into())];
    let page = stage.show(&mut holder).await;
    assert_eq!((page.status.as_u16(), page.location), (403, None));
    assert!(!stage.journal().contains("\"signed_in\""));
    // The page itself is not served where cards are asked for.
    holder.headers.clear();
    for path in ["api/me", "api/sessions", "index.html", "healthz"] {
        assert_eq!(holder.get(&stage.asking.join(path).unwrap()).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sign_in_needs_the_card_to_sign_again() {
    let stage = Stage::set("again", NURSES).await;
    let card = stage.hospital.cards.issue(&person("anne", 77));
    let mut holder = stage.holder(Some(&card));
    for _ in 0..3 {
        let page = stage.sign_in_program(&mut holder).await;
        let full =
            matches!(page.handshake, Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest));
        assert!(page.status.is_success() && full, "{page:?}");
        assert_eq!(page.headers["connection"], "close");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_withdrawn_while_the_gateway_runs_is_refused_and_ends_what_it_had_signed_in() {
    let stage = Stage::set("withdrawn", NURSES).await;
    let (annes, pauls) =
        (stage.hospital.cards.issue(&person("anne", 77)), stage.hospital.cards.issue(&person("paul", 78)));
    let (mut anne, mut paul) = (stage.holder(Some(&annes)), stage.holder(Some(&pauls)));
    assert_eq!(stage.sign_in(&mut anne).await, "");
    assert_eq!(stage.sign_in(&mut paul).await, "");
    stage.hospital.revoke(&stage.folder, &[77], SystemTime::now() + HOUR);
    assert_eq!(stage.sign_in(&mut stage.holder(Some(&annes))).await, "error=card-revoked");
    for _ in 0..400 {
        if stage.me(&mut anne).await.is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(stage.me(&mut anne).await.is_none() && stage.me(&mut paul).await.is_some());
    stage.recorded(&["signed_out", "the card no longer holds: the certificate", "anne"]).await;
    // A list that cannot be read leaves the last one in force.
    std::fs::write(stage.folder.join("cards.crl"), "half a li").unwrap();
    assert_eq!(stage.sign_in(&mut stage.holder(Some(&annes))).await, "error=card-revoked");
    assert_eq!(stage.sign_in(&mut paul).await, "");
}
