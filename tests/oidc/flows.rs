//! What signs people in and out.

use super::browser::Browser;
use super::stage::{Stage, anne};
use chevet::client::{DeviceCode, SignedIn, Site};
use chevet::link::Certificate;
use serde_json::json;
use std::time::Duration;

/// A key that is not known is not looked for more often.
const KEYS_AGAIN: Duration = Duration::from_millis(5_200);

#[tokio::test(flavor = "multi_thread")]
async fn a_person_stays_the_same_user_under_another_name_with_the_groups_of_now() {
    let stage = Stage::set(
        "same",
        "create = true\ngroups_claim = 'groups'\ngroups = {'/nurses' = 'nurses', '/doctors' = 'doctors'}",
    )
    .await;
    let offered = Browser::default().get(&stage.at("/api/connect")).await.json();
    let shown = json!([{"id": "test", "title": "Test", "url": "api/oidc/test/start"}]);
    assert_eq!(offered["sign_in"]["providers"], shown);
    stage.provider.tell(anne(json!({}))).await;
    let mut browser = Browser::default();
    let back = stage.sign_in(&mut browser).await;
    assert_eq!(back.location.unwrap(), stage.home);
    assert!(back.set[0].starts_with("chevet=") && back.set[0].contains("HttpOnly; SameSite=Strict"));
    let me = stage.me(&mut browser).await.unwrap();
    assert_eq!(me, json!({"name": "anne", "title": "Anne Roy", "role": "user", "groups": ["nurses"]}));
    assert!(stage.recorded(&["signed_in", "oidc:test", "\"anne\""]).await);
    assert!(stage.recorded(&["user_changed", "created for anne-at-the-provider"]).await);
    // Married, promoted; and in a group that the provider knows nothing of.
    let user = stage.store().user_named("anne").await.unwrap().unwrap();
    assert!(!user.has_password);
    stage.store().set_groups(&user.id, &["nurses".into(), "choir".into()]).await.unwrap();
    let claims = json!({"preferred_username": "anne.durand", "name": "Anne Durand", "groups": ["/doctors"]});
    stage.provider.tell(anne(json!({"claims": claims}))).await;
    let mut other = Browser::default();
    assert_eq!(stage.outcome(&mut other).await, "");
    let me = stage.me(&mut other).await.unwrap();
    assert_eq!((me["name"].as_str(), &me["groups"]), (Some("anne"), &json!(["choir", "doctors"])));
    assert!(stage.recorded(&["user_changed", "choir, doctors"]).await);
    assert_eq!(stage.store().users("", 9).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_and_the_provider_goes_and_comes_while_the_gateway_runs() {
    let mut stage = Stage::set("keys", "create = true").await;
    stage.provider.tell(anne(json!({}))).await;
    assert_eq!(stage.outcome(&mut Browser::default()).await, "");
    stage.provider.tell(anne(json!({"rotate": true}))).await;
    tokio::time::sleep(KEYS_AGAIN).await;
    assert_eq!(stage.outcome(&mut Browser::default()).await, "");
    // Begun while it was there, ended while it is not.
    let mut browser = Browser::default();
    let begun = browser.get(&stage.at("/api/oidc/test/start")).await;
    let answer = browser.follow_until(begun, "/api/oidc/test/callback").await;
    stage.provider.stop();
    let page = browser.get(&answer).await;
    assert_eq!(page.location.unwrap().fragment(), Some("error=oidc-down"));
    stage.provider.start_again();
    stage.provider.tell(anne(json!({}))).await;
    tokio::time::sleep(KEYS_AGAIN).await;
    assert_eq!(stage.outcome(&mut Browser::default()).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_at_the_start_is_used_once_it_is_there() {
    let mut stage = Stage::set("down", "create = true").await;
    stage.provider.stop();
    let page = Browser::default().get(&stage.at("/api/oidc/test/start")).await;
    assert_eq!(page.location.unwrap().fragment(), Some("error=oidc-down"));
    assert!(stage.recorded(&["sign_in_refused", "cannot be reached"]).await);
    stage.provider.start_again();
    stage.provider.tell(anne(json!({}))).await;
    tokio::time::sleep(KEYS_AGAIN).await;
    assert_eq!(stage.outcome(&mut Browser::default()).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_here_signs_out_there_and_everywhere_it_says_so() {
    let stage = Stage::set("out", "create = true\nsign_out_there = true").await;
    stage.provider.tell(anne(json!({}))).await;
    let mut browser = Browser::default();
    assert_eq!(stage.outcome(&mut browser).await, "");
    let first = browser.cookie(&stage.home, "chevet").unwrap();
    // The same session at the provider, as in another window.
    browser.forget(&stage.home, "chevet");
    assert_eq!(stage.outcome(&mut browser).await, "");
    assert_ne!(browser.cookie(&stage.home, "chevet").unwrap(), first);
    let mut other = Browser::default();
    other.keep(&stage.home, "chevet", &first);
    assert!(stage.me(&mut other).await.is_some());

    let out = browser.post_json(&stage.at("/api/sign-out"), &json!({})).await;
    assert_eq!(stage.me(&mut browser).await, None);
    assert!(stage.me(&mut other).await.is_some(), "the other sign-in goes on until the provider speaks");
    let leave = out.json()["leave"].as_str().unwrap().parse().unwrap();
    let form = browser.get(&leave).await;
    let confirm = stage.provider.url.join("/session/end/confirm").unwrap();
    let fields = [("xsrf", form.hidden("xsrf")), ("logout", "yes".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let back = browser.post_form(&confirm, &fields).await;
    assert_eq!(back.location, Some(stage.home.clone()));
    for _ in 0..40 {
        if stage.me(&mut other).await.is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(stage.me(&mut other).await, None);
    assert!(stage.recorded(&["signed_out", "signed out at the provider"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_token_that_is_not_the_providers_ends_nothing() {
    let stage = Stage::set("forged-out", "create = true").await;
    stage.provider.tell(anne(json!({}))).await;
    let mut browser = Browser::default();
    assert_eq!(stage.outcome(&mut browser).await, "");
    let logout = stage.at("/api/oidc/test/logout");
    for token in ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", &"x".repeat(60_000)] {
        let page = Browser::default().post_form(&logout, &[("logout_token", token)]).await;
        assert_eq!(page.status, 400);
    }
    assert!(stage.me(&mut browser).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_no_browser_signs_in_by_a_code_that_is_confirmed_in_one() {
    let stage = Stage::set("device", "create = true\ndevice = true").await;
    stage.provider.tell(anne(json!({}))).await;
    let mut client = Browser::default();
    let begun = client.post_json(&stage.at("/api/oidc/test/device"), &json!({"seat": "ward-2"})).await.json();
    let (handle, poll) = (begun["handle"].clone(), stage.at("/api/oidc/test/device/poll"));
    let asked = json!({"handle": handle});
    // Too soon: it is not asked, and waits longer.
    let early = client.post_json(&poll, &asked).await.json();
    assert_eq!(early, json!({"pending": true, "interval": begun["interval"].as_i64().unwrap() + 5}));

    let text = |name: &str| begun[name].as_str().unwrap();
    stage.confirm(text("verification_uri"), text("user_code")).await;
    tokio::time::sleep(Duration::from_secs(early["interval"].as_u64().unwrap())).await;
    let answer = client.post_json(&poll, &asked).await.json();
    assert_eq!((&answer["user"]["name"], &answer["seat"]), (&json!("anne"), &json!("ward-2")), "{answer}");
    let again = client.post_json(&poll, &asked).await;
    assert_eq!((again.status.as_u16(), again.json()["error"].as_str()), (401, Some("oidc-expired")));
    let mut other = Browser::default();
    other.keep(&stage.home, "chevet", answer["token"].as_str().unwrap());
    assert_eq!(stage.me(&mut other).await.unwrap()["name"], "anne");
    let unknown = client.post_json(&poll, &json!({"handle": "guessed"})).await;
    assert_eq!(unknown.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_native_client_shows_the_code_and_waits_for_it() {
    let stage = Stage::set("native", "create = true\ndevice = true").await;
    stage.provider.tell(anne(json!({}))).await;
    let site = || Site {
        host: "127.0.0.1".into(),
        port: stage.home.port().unwrap(),
        tls: false,
        pins: Vec::new(),
        proxy: None,
    };
    let (shown, told) = tokio::sync::oneshot::channel();
    let tell = move |code: &DeviceCode| shown.send(code.clone()).unwrap();
    let waiting = SignedIn::with_device(site(), "test", "ward-3", tell);
    let confirming = async {
        let code = told.await.unwrap();
        stage.confirm(&code.place, &code.code).await;
    };
    let (person, ()) = tokio::join!(waiting, confirming);
    let person = person.unwrap();
    assert_eq!(person.sessions().await.unwrap(), Vec::<String>::new());
    let me = person.ask(hyper::Method::GET, "/api/me", None).await.unwrap();
    assert_eq!((&me["user"]["name"], &me["seat"]), (&json!("anne"), &json!("ward-3")));
    person.sign_out().await.unwrap();
    let unknown = SignedIn::with_device(site(), "other", "", |_| ()).await.err().unwrap();
    assert!(unknown.to_string().contains("no such provider"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_device_flow_is_for_programs_where_the_configuration_allows_it() {
    let stage = Stage::set("no-device", "create = true").await;
    let (start, poll) = (stage.at("/api/oidc/test/device"), stage.at("/api/oidc/test/device/poll"));
    let refused = Browser::default().post_json(&start, &json!({})).await;
    assert_eq!(refused.status, 404);
    assert!(refused.text.contains("not allowed here"), "{}", refused.text);
    // A page that runs in a browser gets no secret.
    for (place, body) in [(&start, json!({})), (&poll, json!({"handle": "x"}))] {
        let page = Browser::of(&stage.home).post_json(place, &body).await;
        assert_eq!(page.status, 403, "{}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_trusted_by_the_authority_that_the_configuration_names() {
    let (_, pem) = Certificate::self_signed(&["localhost".to_owned()]).unwrap();
    let trusting = Stage::with("authority", "ca = '{folder}/provider.pem'", Some(&pem)).await;
    let there = Browser::default().get(&trusting.at("/api/oidc/test/start")).await.location.unwrap();
    assert_eq!(there.origin(), trusting.provider.url.origin());
    assert_eq!(there.path(), "/auth");
    let other = Stage::with("no-authority", "", Some(&pem)).await;
    let page = Browser::default().get(&other.at("/api/oidc/test/start")).await;
    assert_eq!(page.location.unwrap().fragment(), Some("error=oidc-down"));
    assert!(other.recorded(&["sign_in_refused", "certificate"]).await);
}
