//! What is copied goes to the user alone, and as far as policies want it. The session is a host's: it crosses two links.

use crate::ward::Ward;
use crate::{SOON, Shared, dial, share, text, until};
use bytes::Bytes;
use chevet::client::{Client, Event, Headless, Roads, Script, run_headless};
use chevet::wire::limits::{MAX_CLIP_PICTURE, MAX_CLIP_TEXT};
use chevet::wire::{Clip, InputEvent};

async fn copied(client: &mut Client) -> String {
    until(client, |event| if let Event::Clip(text) = event { Some(text.0) } else { None }).await
}

async fn taken(client: &mut Client, text: &str) -> bool {
    client.clip(text.into());
    until(client, |event| if let Event::ClipTaken(taken) = event { Some(taken) } else { None }).await
}

/// The session has been given this, or the test fails.
async fn until_clips(ward: &Ward, wanted: &[&str]) {
    let end = tokio::time::Instant::now() + SOON;
    while ward.clips() != wanted {
        assert!(tokio::time::Instant::now() < end, "{:?}, not {wanted:?}", ward.clips());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_copied_goes_both_ways_to_the_user_and_never_to_or_from_who_watches() {
    let ward = Ward::open("clips", false).await;
    let Shared { mut user, mut watcher, .. } = share(&ward).await;
    ward.copy("desk", "Œdème 🩺").await;
    assert_eq!(copied(&mut user).await, "Œdème 🩺");
    let long = "x".repeat(MAX_CLIP_TEXT);
    assert!(taken(&mut user, &long).await);
    until_clips(&ward, &[&long]).await;
    assert!(!taken(&mut watcher, "the watcher's").await);
    // What the watcher would have been sent comes before this answer.
    assert!(!taken(&mut watcher, "again").await);
    assert_eq!(ward.clips().len(), 1);
    ward.copy("desk", "second").await;
    assert_eq!(copied(&mut user).await, "second");
    watcher.ping();
    let heard = until(&mut watcher, |event| match event {
        Event::Clip(_) => Some(true),
        Event::ClipTaken(_) | Event::Exact => Some(false),
        _ => None,
    });
    let heard = tokio::time::timeout(std::time::Duration::from_millis(500), heard).await;
    assert!(!matches!(heard, Ok(true)), "a watcher was told what was copied");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_say_which_way_what_is_copied_may_go() {
    let sections =
        "[[policy]]\nusers = ['anne']\nclipboard = 'out'\n[[policy]]\nusers = ['paul']\nclipboard = 'in'";
    let ward = Ward::open_with("clip-ways", false, sections).await;
    let (_anne, mut anne) = ward.view("anne", "", "desk", Roads::All).await;
    assert!(!taken(&mut anne, "of hers").await);
    ward.copy("desk", "of the session").await;
    assert_eq!(copied(&mut anne).await, "of the session");
    let (_paul, mut paul) = ward.view("paul", "", "desk", Roads::All).await;
    ward.copy("desk", "for nobody").await;
    assert!(taken(&mut paul, "of his").await);
    until_clips(&ward, &["of his"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_left_on_a_clipboard_follows_them_and_is_not_the_next_users() {
    let ward = Ward::open("clip-left", false).await;
    let (_anne, mut anne) = ward.view("anne", "room 1", "desk", Roads::All).await;
    ward.copy("desk", "about a patient").await;
    assert_eq!(copied(&mut anne).await, "about a patient");
    let elsewhere = ward.sign_in("anne", "room 2").await.unwrap();
    let mut again = dial(elsewhere.address("desk").await.unwrap()).await;
    assert_eq!(copied(&mut again).await, "about a patient", "it follows her");
    assert!(taken(&mut again, "of hers").await);
    until_clips(&ward, &["of hers"]).await;
    let paul = ward.sign_in("paul", "room 3").await.unwrap();
    let mut paul = dial(paul.address("desk").await.unwrap()).await;
    // The answer comes after all that was sent before it.
    paul.clip("x".into());
    let first = until(&mut paul, |event| match event {
        Event::Clip(text) => Some(Some(text.0)),
        Event::ClipTaken(_) => Some(None),
        _ => None,
    })
    .await;
    assert_eq!(first, None, "what she had copied was told to the next user");
    until_clips(&ward, &["x"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pastes_without_end_is_taken_at_a_bounded_rate_and_told_so() {
    let ward = Ward::open("clip-rate", false).await;
    let (_anne, mut anne) = ward.view("anne", "", "desk", Roads::All).await;
    let long = "x".repeat(MAX_CLIP_TEXT);
    let began = std::time::Instant::now();
    let mut took = 0;
    let mut refused = 0;
    for _ in 0..48 {
        match taken(&mut anne, &long).await {
            true => took += 1,
            false => refused += 1,
        }
    }
    let earned = began.elapsed().as_millis() / 300;
    assert!(took >= 32 && took <= 33 + earned, "{took} taken, {refused} not, {earned} earned");
    // With patience it goes on.
    let end = tokio::time::Instant::now() + SOON;
    while !taken(&mut anne, "at last").await {
        assert!(tokio::time::Instant::now() < end, "nothing is taken any more");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_after_something_was_copied_finds_it_there_over_the_hosts_link_too() {
    let ward = Ward::open("clip-order", false).await;
    let (_anne, mut anne) = ward.view("anne", "", "desk", Roads::All).await;
    for round in 0..20 {
        let pasted = format!("clip {round}");
        assert!(taken(&mut anne, &pasted).await);
        anne.input(text("v"));
        let typed = "v".repeat(round + 1);
        while ward.typed() != typed {
            let _ = tokio::time::timeout(std::time::Duration::from_millis(2), anne.next()).await;
        }
        assert_eq!(ward.clips().last(), Some(&pasted), "the key came before the text");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_copies_before_it_types_and_what_the_session_copies_is_written_to_a_file() {
    let ward = Ward::open("clip-script", false).await;
    let anne = ward.sign_in("anne", "").await.unwrap();
    let file = std::env::temp_dir().join(format!("chevet-clip-{}", std::process::id()));
    let job = Headless {
        clipboard: Some(file.clone()),
        script: Some(Script::parse("0 copy à 8 h\n0 text v").unwrap()),
        ..Headless::default()
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let address = anne.address("desk").await.unwrap();
    let viewing = tokio::spawn(run_headless(address, job, async {
        let _ = stopped.await;
    }));
    until_clips(&ward, &["à 8 h"]).await;
    ward.copy("desk", "38,5 °C").await;
    let end = tokio::time::Instant::now() + SOON;
    while std::fs::read_to_string(&file).unwrap_or_default() != "38,5 °C" {
        assert!(tokio::time::Instant::now() < end, "what was copied is not in the file");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    stop.send(()).unwrap();
    viewing.await.unwrap().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    std::fs::remove_file(&file).unwrap();
}

/// What begins as a PNG of this size, and has this many bytes: all that is between a source and a viewer looks at its header alone.
fn png(width: u32, length: usize) -> Bytes {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend(width.to_be_bytes());
    png.extend(100u32.to_be_bytes());
    png.extend((0..length - png.len()).map(|at| (at * at / 7) as u8));
    png.into()
}

async fn copied_picture(client: &mut Client) -> Bytes {
    until(client, |event| if let Event::Picture(png) = event { Some(png) } else { None }).await
}

async fn taken_picture(client: &mut Client, png: &Bytes) -> bool {
    assert!(client.clip_picture(png.clone()));
    until(client, |event| if let Event::ClipTaken(taken) = event { Some(taken) } else { None }).await
}

/// The session has been given these pictures, or the test fails.
async fn until_pictures(ward: &Ward, wanted: &[&Bytes]) {
    let end = tokio::time::Instant::now() + SOON;
    while ward.pictures().iter().ne(wanted.iter().copied()) {
        assert!(
            tokio::time::Instant::now() < end,
            "{} pictures, not {}",
            ward.pictures().len(),
            wanted.len()
        );
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_any_size_go_both_ways_to_the_user_and_never_to_or_from_who_watches() {
    let ward = Ward::open("pictures", false).await;
    let Shared { mut user, mut watcher, .. } = share(&ward).await;
    let large = png(4_000, MAX_CLIP_PICTURE);
    ward.copy_clip("desk", Clip::Picture(large.clone())).await;
    assert!(copied_picture(&mut user).await == large);
    let small = png(10, 40);
    assert!(taken_picture(&mut user, &small).await);
    until_pictures(&ward, &[&small]).await;
    assert!(taken_picture(&mut user, &large).await);
    until_pictures(&ward, &[&small, &large]).await;
    assert!(!taken_picture(&mut watcher, &small).await);
    ward.copy_clip("desk", Clip::Picture(small.clone())).await;
    assert!(copied_picture(&mut user).await == small);
    // What the watcher would have been sent comes before this answer.
    assert!(!taken_picture(&mut watcher, &small).await);
    assert_eq!(ward.pictures().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_and_the_next_user_concern_pictures_as_they_do_texts() {
    let sections =
        "[[policy]]\nusers = ['anne']\nclipboard = 'out'\n[[policy]]\nusers = ['paul']\nclipboard = 'in'";
    let ward = Ward::open_with("picture-ways", false, sections).await;
    let (_anne, mut anne) = ward.view("anne", "", "desk", Roads::All).await;
    let (one, other) = (png(10, 50_000), png(11, 60_000));
    assert!(!taken_picture(&mut anne, &one).await);
    ward.copy_clip("desk", Clip::Picture(one.clone())).await;
    assert!(copied_picture(&mut anne).await == one);
    let (_paul, mut paul) = ward.view("paul", "", "desk", Roads::All).await;
    ward.copy_clip("desk", Clip::Picture(one.clone())).await;
    assert!(client_took(&mut paul, &other).await, "nothing of hers comes before the answer");
    until_pictures(&ward, &[&other]).await;
}

/// Whether a picture is taken, before one is told.
async fn client_took(client: &mut Client, png: &Bytes) -> bool {
    assert!(client.clip_picture(png.clone()));
    let first = until(client, |event| match event {
        Event::ClipTaken(taken) => Some(taken),
        Event::Picture(_) => Some(false),
        _ => None,
    });
    first.await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_on_its_way_holds_up_no_keys_and_gives_way_to_what_is_copied_next() {
    let ward = Ward::open("picture-way", false).await;
    let (_anne, mut anne) = ward.view("anne", "", "desk", Roads::All).await;
    assert!(anne.clip_picture(png(10, MAX_CLIP_PICTURE)));
    anne.input(text("v"));
    while ward.typed() != "v" {
        let _ = tokio::time::timeout(std::time::Duration::from_millis(2), anne.next()).await;
    }
    anne.clip("a text".into());
    let mut answers = Vec::new();
    while answers.len() < 2 {
        answers.push(
            until(&mut anne, |event| if let Event::ClipTaken(taken) = event { Some(taken) } else { None })
                .await,
        );
    }
    assert!(answers[1], "the text is taken");
    until_clips(&ward, &["a text"]).await;
    // Each is answered once, so that the text's answer is not taken for the picture's.
    assert_eq!(ward.pictures().len(), usize::from(answers[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_without_end_are_taken_at_a_bounded_rate() {
    let ward = Ward::open("picture-rate", false).await;
    let (_anne, mut anne) = ward.view("anne", "", "desk", Roads::All).await;
    let began = std::time::Instant::now();
    let mut took = 0;
    for _ in 0..12 {
        took += u128::from(taken_picture(&mut anne, &png(10, 100)).await);
    }
    let earned = began.elapsed().as_millis() / 2_400;
    assert!(took >= 4 && took <= 5 + earned, "{took} taken, {earned} earned");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_after_a_picture_was_copied_finds_it_there_over_the_hosts_link_too() {
    let ward = Ward::open("picture-order", false).await;
    let (_anne, mut anne) = ward.view("anne", "", "desk", Roads::All).await;
    for round in 0..3 {
        let pasted = png(20 + round, 300_000);
        assert!(taken_picture(&mut anne, &pasted).await);
        anne.input(InputEvent::Text("v".into()));
        let typed = "v".repeat(round as usize + 1);
        while ward.typed() != typed {
            let _ = tokio::time::timeout(std::time::Duration::from_millis(2), anne.next()).await;
        }
        assert!(ward.pictures().last() == Some(&pasted), "the key came before the picture");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_copies_a_picture_and_what_the_session_copies_is_written_to_a_file() {
    let ward = Ward::open("picture-script", false).await;
    let anne = ward.sign_in("anne", "").await.unwrap();
    let file = |name: &str| std::env::temp_dir().join(format!("chevet-{name}-{}.png", std::process::id()));
    let (there, here) = (file("picture-there"), file("picture-here"));
    let (copied, pasted) = (png(10, 70_000), png(11, 80_000));
    std::fs::write(&here, &pasted).unwrap();
    let job = Headless {
        pictures: Some(there.clone()),
        script: Some(Script::parse(&format!("0 copy-picture {}", here.display())).unwrap()),
        ..Headless::default()
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let address = anne.address("desk").await.unwrap();
    let viewing = tokio::spawn(run_headless(address, job, async {
        let _ = stopped.await;
    }));
    until_pictures(&ward, &[&pasted]).await;
    ward.copy_clip("desk", Clip::Picture(copied.clone())).await;
    let end = tokio::time::Instant::now() + SOON;
    while std::fs::read(&there).unwrap_or_default() != copied {
        assert!(tokio::time::Instant::now() < end, "what was copied is not in the file");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    stop.send(()).unwrap();
    viewing.await.unwrap().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&there).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    [there, here].iter().for_each(|file| std::fs::remove_file(file).unwrap());
}
