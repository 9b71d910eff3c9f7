//! Viewers outside, who reach an edge alone, when the gateway that has their session goes.

use crate::stage::{self, Stage};
use crate::typist::{Terminal, Typist, until_exact};
use crate::{alone, run};
use chevet::client::{Address, Client, Roads};
use chevet::edge::{Config as EdgeSettings, Edge};
use chevet::gateway::identity;
use chevet::link::{Identity, Road, fingerprint_text};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// An edge in front of two gateways.
struct Outside {
    stage: Stage,
    edge: Edge,
    folder: PathBuf,
}

impl Outside {
    async fn set(name: &str) -> Outside {
        let folder = std::env::temp_dir().join(format!("chevet-outside-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let inside = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut settings = EdgeSettings {
            listen: vec![([127, 0, 0, 1], 0).into()],
            inside,
            state_directory: Some(folder.clone()),
            ..EdgeSettings::default()
        };
        let edge = fingerprint_text(&Identity::kept(&settings.key_file().unwrap()).unwrap().fingerprint());
        let stage =
            Stage::set_with(name, 2, &format!("[[edge]]\naddress = \"{inside}\"\nfingerprint = {edge:?}\n"));
        let of = |number: usize| {
            let state = stage.folder.join(format!("gateway-{number}.state"));
            stage::settle("the gateway has its key", || {
                (!state.join("tunnel.pem").exists()).then(|| "there is none".into())
            });
            identity(&state).unwrap()
        };
        settings.gateways = (0..2).map(|number| fingerprint_text(&of(number).fingerprint())).collect();
        let outside = Outside { stage, edge: Edge::start(&settings).await.unwrap(), folder };
        outside.all_have_tunnels().await;
        outside
    }

    async fn all_have_tunnels(&self) {
        let end = Instant::now() + stage::SOON;
        while self.edge.gateways() < 2 {
            assert!(Instant::now() < end, "a gateway has no tunnel");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The session as it is reached from outside, whichever gateway has it.
    fn address(&self, session: &str) -> Address {
        let mut address = self.stage.address(0, session);
        address.target.pins.extend(self.stage.address(1, session).target.pins);
        let port = self.edge.addresses()[0].port();
        (address.target.udp_port, address.target.tcp_port) = (Some(port), Some(port));
        address.target.tls = true;
        address
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Whether there is something to be seen.
fn shows_something(client: &Client) -> bool {
    let pixels = client.screen().map(|screen| screen.pixels()).unwrap_or_default();
    pixels.iter().any(|pixel| *pixel != pixels[0])
}

#[test]
fn who_is_outside_sees_no_blank_screen_and_loses_no_letter_while_gateways_are_drained() {
    let _alone = alone();
    run(async {
        let mut outside = Outside::set("outside").await;
        let terminal = Terminal::open(&outside.stage.folder);
        outside.stage.host("desk", &terminal.server.display);
        let mut typed = String::new();
        for (roads, road) in [(Roads::OnlyWebSocket, Road::WebSocket), (Roads::OnlyQuic, Road::Quic)] {
            let mut client = Client::connect_by(outside.address("desk"), roads, (0, 0)).await.unwrap();
            until_exact(&mut client).await;
            assert_eq!(client.road(), Some(road));
            let mut typist = Typist::default();
            typist.typed = std::mem::take(&mut typed);
            typist.type_for(&mut client, Duration::from_secs(1)).await;
            for round in 0..3 {
                let holder = outside.stage.holder("desk").expect("a gateway has the session");
                let (attached, began) = (typist.attached, Instant::now());
                match round % 2 {
                    0 => outside.stage.drain(holder),
                    _ => outside.stage.gateways[holder].program.signal("-TERM"),
                }
                while typist.attached == attached || outside.stage.gateways[holder].program.ended().is_none()
                {
                    let log = || outside.stage.gateways[holder].program.log();
                    assert!(began.elapsed() < stage::SOON, "{road:?}, {round}: {}", log());
                    typist.strike(&mut client).await;
                    assert!(shows_something(&client), "the screen is blank");
                }
                let program = &mut outside.stage.gateways[holder].program;
                assert!(program.ended().unwrap().success(), "{}", program.log());
                outside.stage.restart(holder);
                outside.all_have_tunnels().await;
                typist.type_for(&mut client, Duration::from_secs(1)).await;
            }
            println!("outside by {road:?}: the longest pause {:?}", typist.longest_pause);
            typist.all_arrived(&mut client, &terminal).await;
            assert_eq!(typist.silences, 0, "the viewer was without a link");
            assert_eq!(typist.refused, 0, "input was not taken");
            assert_eq!(client.mismatches(), 0);
            client.close().await;
            typed = typist.typed;
        }
    });
}
