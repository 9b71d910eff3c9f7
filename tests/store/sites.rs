//! What changed of accounts, and copies of other sites' ones.

use chevet::store::{AccountCopy, NewUser, Role, Store, StoreError};

fn copy<'a>(groups: &'a [String], version: i64, step: i64) -> AccountCopy<'a> {
    AccountCopy {
        id: "c",
        name: "cleo@north",
        title: "Cleo",
        enabled: true,
        groups,
        password: Some("$hash"),
        totp: Some("sealed"),
        totp_step: step,
        home: "north",
        home_id: "n7",
        home_name: "cleo",
        version,
    }
}

pub async fn every_change_has_a_higher_number_and_removals_have_one_too(store: &Store) {
    let numbers = async |since: i64| {
        let (newest, rows) = store.accounts_since(since, 100).await.unwrap();
        let told: Vec<(i64, String, bool)> =
            rows.into_iter().map(|(row, _)| (row.version, row.id, row.removed != 0)).collect();
        assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0), "{told:?}");
        assert!(told.last().is_none_or(|last| last.0 <= newest));
        (newest, told)
    };
    let (since, _) = numbers(0).await;
    for id in ["v1", "v2"] {
        let user = NewUser { id, name: id, title: id, role: Role::User, groups: &[] };
        store.add_user(&user, 5).await.unwrap();
    }
    store.set_groups("v1", &["nurses".to_owned()]).await.unwrap();
    let told: Vec<String> = numbers(since).await.1.into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(told, ["v2", "v1"]);
    let (since, _) = numbers(0).await;
    // Many at the same time: none has another's number.
    let mut all = tokio::task::JoinSet::new();
    for n in 0..16 {
        let store = store.clone();
        all.spawn(async move { store.enable_user(if n % 2 == 0 { "v1" } else { "v2" }, n % 3 == 0).await });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap().unwrap();
    }
    let (newest, told) = numbers(since).await;
    assert_eq!((newest, told.len()), (since + 16, 2));
    assert!(store.use_totp_step("v1", 9).await.unwrap());
    assert!(!store.use_totp_step("v1", 8).await.unwrap());
    assert_eq!(numbers(newest).await, (newest + 1, vec![(newest + 1, "v1".to_owned(), false)]));
    store.remove_user("v1").await.unwrap();
    assert_eq!(numbers(newest + 1).await.1, [(newest + 2, "v1".to_owned(), true)]);
    store.remove_user("v2").await.unwrap();
}

pub async fn a_copy_is_its_homes_alone_to_change_and_its_codes_never_go_back(store: &Store) {
    let groups = ["nurses".to_owned()];
    let (newest, _) = store.accounts_since(0, 100).await.unwrap();
    store.keep_copy(&copy(&groups, 5, 40), 1).await.unwrap();
    // An older page changes nothing, a newer one all but the step.
    store.keep_copy(&copy(&[], 4, 0), 1).await.unwrap();
    assert_eq!(store.user("c").await.unwrap().unwrap().groups, groups);
    store.keep_copy(&copy(&[], 6, 30), 1).await.unwrap();
    assert_eq!(store.user("c").await.unwrap().unwrap().groups, Vec::<String>::new());
    assert_eq!(store.codes_used_by("north", 0, 10).await.unwrap(), [("n7".to_owned(), 40)]);
    for refused in [
        store.set_groups("c", &groups).await,
        store.set_password("c", "$other").await,
        store.set_totp("c", None).await,
        store.set_role("c", Role::Administrator).await,
        store.enable_user("c", false).await,
    ] {
        assert!(matches!(refused, Err(StoreError::Elsewhere(home)) if home == "north"));
    }
    // No third site hears of it from here.
    let (_, told) = store.accounts_since(newest, 100).await.unwrap();
    assert!(told.is_empty());
    // What is not heard of again is gone.
    assert!(store.copies_not_heard_of("north").await.unwrap().is_empty());
    store.note_pulled("north", 6, Some(1_000), "terms").await.unwrap();
    store.forget_site_version("north").await.unwrap();
    assert_eq!(store.site_pulled("north").await.unwrap().version, 0);
    assert_eq!(store.site_pulled("north").await.unwrap().pulled_at, 1_000);
    assert_eq!(store.copies_not_heard_of("north").await.unwrap(), ["n7"]);
    assert!(store.remove_user("c").await.unwrap());
    assert!(store.copy_of("north", "n7").await.unwrap().is_none());
}

pub async fn a_site_is_heard_by_one_gateway_at_a_time(store: &Store) {
    let turn = async |puller, now| store.take_turn("east", puller, now, now + 30).await.unwrap();
    assert!(turn("a", 100).await && turn("a", 110).await);
    assert!(!turn("b", 120).await && !turn("b", 140).await);
    assert!(turn("b", 141).await && !turn("a", 150).await);
    let pulled = store.site_pulled("east").await.unwrap();
    assert_eq!((pulled.version, pulled.pulled_at), (0, 0), "nothing was heard by that");
}
