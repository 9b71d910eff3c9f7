//! What must sign nobody in.

use super::browser::Browser;
use super::stage::{Stage, anne};
use serde_json::json;
use url::Url;

#[tokio::test(flavor = "multi_thread")]
async fn no_spoilt_token_signs_anybody_in() {
    let stage = Stage::set("spoilt", "create = true\nacr = ['eidas1']").await;
    let ways = [
        "none",
        "hs256",
        "other-key",
        "changed",
        "expired",
        "early",
        "audience",
        "two-audiences",
        "issuer",
        "nonce",
        "no-nonce",
        "no-subject",
    ];
    for spoil in ways {
        stage.provider.tell(anne(json!({"spoil": spoil}))).await;
        let mut browser = Browser::default();
        assert_eq!(stage.outcome(&mut browser).await, "error=oidc-refused", "{spoil}");
        assert_eq!(stage.me(&mut browser).await, None, "{spoil}");
    }
    stage.provider.tell(anne(json!({"userinfo_of": "somebody else"}))).await;
    assert_eq!(stage.outcome(&mut Browser::default()).await, "error=oidc-refused");
    assert!(stage.store().users("", 9).await.unwrap().is_empty());
    assert!(stage.recorded(&["sign_in_refused", "oidc:test", "signature is wrong"]).await);
    // Clocks that differ a little do no harm.
    for spoil in ["slow-clock", "fast-clock"] {
        stage.provider.tell(anne(json!({"spoil": spoil}))).await;
        assert_eq!(stage.outcome(&mut Browser::default()).await, "", "{spoil}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_good_once_and_in_the_browser_that_asked() {
    let stage = Stage::set("answers", "create = true").await;
    stage.provider.tell(anne(json!({}))).await;
    let callback = "/api/oidc/test/callback";
    let error = |page: super::browser::Page| page.location.unwrap().fragment().unwrap_or_default().to_owned();
    // Somebody begins, and sends the answer to somebody else: they are not signed in as the first.
    let mut eve = Browser::default();
    let begun = eve.get(&stage.at("/api/oidc/test/start")).await;
    assert!(begun.set[0].contains("HttpOnly; SameSite=Lax"), "{:?}", begun.set);
    let answer = eve.follow_until(begun, callback).await;
    let mut anne = Browser::default();
    assert_eq!(error(anne.get(&answer).await), "error=oidc-expired");
    assert_eq!(stage.me(&mut anne).await, None);
    // That used it up for the first one too.
    assert_eq!(error(eve.get(&answer).await), "error=oidc-expired");
    // Also if the other one has begun too, and holds a cookie.
    let begun = eve.get(&stage.at("/api/oidc/test/start")).await;
    let answer = eve.follow_until(begun, callback).await;
    anne.get(&stage.at("/api/oidc/test/start")).await;
    assert_eq!(error(anne.get(&answer).await), "error=oidc-expired");
    // An answer works once.
    let begun = anne.get(&stage.at("/api/oidc/test/start")).await;
    let answer = anne.follow_until(begun, callback).await;
    let good = anne.get(&answer).await;
    assert_eq!(error(good), "");
    assert!(stage.me(&mut anne).await.is_some());
    assert_eq!(error(anne.get(&answer).await), "error=oidc-expired");
    // The code of one sign-in with the state of another: PKCE tells.
    let mut two = Browser::default();
    let first = two.get(&stage.at("/api/oidc/test/start")).await;
    let first = two.follow_until(first, callback).await;
    let second = two.get(&stage.at("/api/oidc/test/start")).await;
    let second = two.follow_until(second, callback).await;
    let pair =
        |url: &Url, name: &str| url.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned();
    let mut mixed = stage.at(callback);
    mixed
        .query_pairs_mut()
        .append_pair("code", &pair(&first, "code"))
        .append_pair("state", &pair(&second, "state"))
        .append_pair("iss", &pair(&second, "iss"));
    assert_eq!(error(two.get(&mixed).await), "error=oidc-refused");
    for query in ["", "?state=", "?state=abc&code=def", "?error=access_denied", "?state=%FF%00&state=1"] {
        let page = two.get(&stage.at(&format!("{callback}{query}"))).await;
        assert_eq!(error(page), "error=oidc-expired", "{query}");
    }
    assert_eq!(two.get(&stage.at("/api/oidc/other/start")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_issuer_or_a_refusal_signs_nobody_in() {
    let stage = Stage::set("issuers", "create = true").await;
    stage.provider.tell(anne(json!({}))).await;
    let mut browser = Browser::default();
    for issuer in [Some("https://evil.example"), None] {
        let begun = browser.get(&stage.at("/api/oidc/test/start")).await;
        let answer = browser.follow_until(begun, "/api/oidc/test/callback").await;
        let mut changed = answer.clone();
        let kept = answer.query_pairs().filter(|(name, _)| name != "iss");
        changed.query_pairs_mut().clear().extend_pairs(kept);
        if let Some(issuer) = issuer {
            changed.query_pairs_mut().append_pair("iss", issuer);
        }
        let page = browser.get(&changed).await;
        assert_eq!(page.location.unwrap().fragment(), Some("error=oidc-refused"), "{issuer:?}");
    }
    stage.provider.tell(anne(json!({"deny": true}))).await;
    assert_eq!(stage.outcome(&mut Browser::default()).await, "error=oidc-denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_of_assurance_that_is_too_low_is_not_enough() {
    let stage = Stage::set("acr", "create = true\nacr = ['eidas2', 'eidas3']").await;
    stage.provider.tell(anne(json!({"acr": "eidas1"}))).await;
    assert_eq!(stage.outcome(&mut Browser::default()).await, "error=oidc-acr");
    assert!(stage.recorded(&["sign_in_refused", "eidas1", "not enough"]).await);
    stage.provider.tell(anne(json!({"acr": "eidas2"}))).await;
    assert_eq!(stage.outcome(&mut Browser::default()).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_takes_over_no_user_unless_the_configuration_says_so() {
    let stage = Stage::set("names", "create = true").await;
    let administrator = chevet::store::Role::Administrator;
    chevet::identity::add_user(stage.store(), "anne", "Anne Roy", administrator, &[], 0).await.unwrap();
    stage.provider.tell(anne(json!({}))).await;
    assert_eq!(stage.outcome(&mut Browser::default()).await, "error=oidc-unknown");
    assert!(stage.recorded(&["sign_in_refused", "belongs to another user"]).await);

    let linking = Stage::set("links", "link = true").await;
    let store = linking.store();
    let id = chevet::identity::add_user(store, "anne", "Anne Roy", administrator, &[], 0).await.unwrap();
    linking.provider.tell(anne(json!({}))).await;
    let mut browser = Browser::default();
    assert_eq!(linking.outcome(&mut browser).await, "");
    assert_eq!(linking.me(&mut browser).await.unwrap()["name"], "anne");
    assert!(linking.recorded(&["user_changed", "linked to anne-at-the-provider"]).await);
    // Another person of the same name at the provider, or who is not known at all.
    linking.provider.tell(anne(json!({"sub": "another"}))).await;
    assert_eq!(linking.outcome(&mut Browser::default()).await, "error=oidc-unknown");
    linking.provider.tell(json!({"sub": "paul", "claims": {"preferred_username": "paul"}})).await;
    assert_eq!(linking.outcome(&mut Browser::default()).await, "error=oidc-unknown");
    store.enable_user(&id, false).await.unwrap();
    linking.provider.tell(anne(json!({}))).await;
    assert_eq!(linking.outcome(&mut Browser::default()).await, "error=oidc-unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_verified_names_nobody() {
    let stage = Stage::set("email", "create = true\nuser_claim = 'email'").await;
    for (verified, outcome) in [(json!(false), "error=oidc-refused"), (json!(true), "")] {
        let claims = json!({"email": "anne@clinic.example", "email_verified": verified});
        stage.provider.tell(anne(json!({"claims": claims}))).await;
        assert_eq!(stage.outcome(&mut Browser::default()).await, outcome);
    }
}
