//! An RDP session through a whole gateway: viewers that come and go, and how long a picture takes.

use crate::peers::{Desktop, Folder, Xrdp, screen};
use crate::session::scribble;
use chevet::client::{Address, Client, Event, Roads};
use chevet::gateway::{Config, Gateway};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

async fn gateway(xrdp_port: u16, folder: &Folder) -> Gateway {
    let password = folder.write("password", "secret\n");
    let text = format!(
        "listen = ['127.0.0.1:0']\nstate_directory = '{}'\n[[session]]\nname = 'ward'\n\
         rdp = {{ address = 'localhost:{xrdp_port}', user = 'nurse', password_file = '{}', screen_sign_in = true }}\n",
        folder.path().join("state").display(),
        password.display(),
    );
    let path = folder.write("gateway.toml", &text);
    Gateway::start(&Config::read(&path).unwrap()).await.unwrap()
}

async fn view(gateway: &Gateway) -> Client {
    let address = Address::find(&gateway.page_url("ward")).await.unwrap();
    Client::connect_by(address, Roads::default(), (0, 0)).await.unwrap()
}

/// Drives a client until something is so, and says how long that took.
async fn until(
    client: &mut Client,
    what: &str,
    mut so: impl FnMut(Option<&Event>, &Client) -> bool,
) -> Duration {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "never happened: {what}");
        let event = tokio::time::timeout(Duration::from_millis(20), client.next()).await;
        let event = event.ok().map(|event| event.expect("the client goes on"));
        if so(event.as_ref(), client) {
            return begun.elapsed();
        }
    }
}

fn is_same(client: &Client, display: &str) -> bool {
    let (width, height, pixels) = screen(display);
    client.screen().is_some_and(|screen| {
        (screen.width(), screen.height()) == (width, height) && screen.pixels() == pixels
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_viewer_sees_the_running_session_at_once_and_a_session_outlives_its_viewers() {
    let desktop = Desktop::start(1_024, 768);
    let xrdp = Xrdp::start(&desktop);
    scribble(&desktop.display, 5, 40);
    let folder = Folder::new("through");
    let gateway = gateway(xrdp.port, &folder).await;
    let mut first = view(&gateway).await;
    until(&mut first, "the first viewer sees the host", |_, client| is_same(client, &desktop.display)).await;
    let begun = Instant::now();
    let mut second = view(&gateway).await;
    let mut black = false;
    until(&mut second, "the second viewer sees the host", |event, client| {
        if let (Some(Event::Exact), Some(screen)) = (event, client.screen()) {
            black |= screen.pixels().iter().all(|&pixel| pixel == 0);
        }
        is_same(client, &desktop.display)
    })
    .await;
    println!("a second viewer sees it after {:?}", begun.elapsed());
    assert!(!black);
    first.close().await;
    second.close().await;
    // Nobody looks, and the host draws on.
    scribble(&desktop.display, 6, 40);
    let mut third = view(&gateway).await;
    until(&mut third, "a later viewer sees what was drawn", |_, client| is_same(client, &desktop.display))
        .await;
    third.close().await;
    // One session on the host, however many viewers.
    let log = xrdp.log();
    assert_eq!(log.matches("connecting to").count().max(1), 1, "{log}");
    gateway.stop().await;
}
