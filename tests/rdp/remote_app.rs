//! One application of a host instead of its desktop (RemoteApp), where the host has that; else the session is one without.

use crate::peers::{Channels, Desktop, Shadow, XorgSession, Xrdp, screen};
use crate::server::{Program, Server};
use crate::session::scribble;
use crate::{eventually, nla_settings, show, xrdp_settings};
use chevet::source::rdp::{Notice, RdpSettings};

#[test]
fn an_application_of_an_xrdp_session_is_shown_alone() {
    let session = XorgSession::start(800, 600);
    let channels = Channels::start(&session.display);
    let xrdp = Xrdp::start_before_xorg_and(&session, &channels);
    scribble(&session.display, 31, 60);
    let settings = RdpSettings { remote_app: "xterm".into(), ..xrdp_settings(xrdp.port) };
    let mut shown = show(settings, "any", (800, 600));
    shown.wait_live();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(15);
    while std::time::Instant::now() < end {
        let (_, _, here) = shown.pixels();
        let lit = here.iter().filter(|&&pixel| pixel != 0).count();
        println!("lit {lit} of {} {:?}", here.len(), shown.notices.lock().unwrap());
        while let Ok(event) = shown.events.try_recv() { if let chevet::source::SourceEvent::State(chevet::source::SourceState::Waiting(text)) = event { println!("{text}"); } }
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    println!("{}", xrdp.log());
}
