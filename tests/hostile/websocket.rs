//! Dishonest viewers and hosts on WebSocket.

use crate::stage::{LONG, PORTAL, SECRET, SESSION, Stage, attach, hello, offer, resident, varint};
use chevet::screen::{HashKey, TileHash};
use chevet::wire::limits::{MAX_CONTROL, MAX_STREAMS};
use chevet::wire::{Attach, Control, ControlReader, Frame, InputEvent, KnownScreen, Role};
use chevet::wire::{read_frame, read_update, write_event, write_frame, write_input_start};
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

/// A peer that speaks in frames of its own making.
pub struct Peer {
    socket: WebSocketStream<TcpStream>,
    control: ControlReader,
    heard: Vec<Control>,
}

impl Peer {
    pub async fn dial(address: SocketAddr, origin: Option<&str>) -> Result<Peer, Error> {
        let mut request = format!("ws://{address}/chevet").into_client_request()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", "chevet.1".parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert("Origin", origin.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await?;
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Peer { socket, control: ControlReader::new(), heard: Vec::new() })
    }

    async fn attached(stage: &Stage, attach: Attach) -> Peer {
        let mut peer = Peer::dial(stage.address(), None).await.unwrap();
        peer.say(&hello(Role::Viewer)).await;
        peer.say(&Control::Attach(attach)).await;
        peer.wait_for(|message| matches!(message, Control::Attached(_))).await;
        peer
    }

    /// Whether the frame went out: the other side may have ended the link.
    async fn frame(&mut self, frame: &Frame<'_>) -> bool {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, frame);
        self.socket.send(Message::Binary(bytes.into())).await.is_ok()
    }

    async fn say(&mut self, message: &Control) -> bool {
        let mut open = true;
        for piece in message.to_bytes().chunks(1 << 14) {
            open = self.frame(&Frame::Control(piece)).await;
        }
        open
    }

    /// Reads on until a control message that `wanted` takes.
    async fn wait_for(&mut self, wanted: impl Fn(&Control) -> bool) -> Control {
        let search = async {
            loop {
                if let Some(at) = self.heard.iter().position(&wanted) {
                    return self.heard.swap_remove(at);
                }
                self.heard.clear();
                let message = self.socket.next().await.expect("the link is open").expect("and whole");
                self.hear(&message);
            }
        };
        timeout(LONG, search).await.expect("the message comes")
    }

    fn hear(&mut self, message: &Message) {
        let Message::Binary(bytes) = message else { return };
        if let Ok(Some(Frame::Control(bytes))) = read_frame(bytes) {
            self.control.push(bytes);
            while let Some(message) = self.control.next().expect("the gateway speaks well") {
                self.heard.push(message);
            }
        }
    }

    /// Reads to the end: WebSocket's code, and what the Closing said.
    async fn end(&mut self) -> (u16, String) {
        let reading = async {
            let mut code = 0;
            while let Some(Ok(message)) = self.socket.next().await {
                self.hear(&message);
                if let Message::Close(Some(frame)) = message {
                    code = frame.code.into();
                }
            }
            code
        };
        let code = timeout(LONG, reading).await.expect("the gateway ends the link");
        let closing = self.heard.iter().find_map(|message| match message {
            Control::Closing { code: said, reason } => {
                assert_eq!(u32::from(code), 4_000 + said.0);
                Some(reason.clone())
            }
            _ => None,
        });
        (code, closing.unwrap_or_default())
    }

    async fn ends_with(&mut self, code: u16, reason: &str) {
        let (said, why) = self.end().await;
        assert!(said == code && why.contains(reason), "closed with {said}: {why}");
    }
}

fn input(first: u64, events: &[InputEvent]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_input_start(&mut bytes, first);
    events.iter().for_each(|event| write_event(&mut bytes, event));
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_gets_no_websocket() {
    let stage = Stage::open().await;
    for origin in ["http://elsewhere.example", "null", "http://127.0.0.1:1"] {
        let Err(Error::Http(answer)) = Peer::dial(stage.address(), Some(origin)).await else {
            panic!("{origin} was let in");
        };
        assert_eq!(answer.status(), 403);
    }
    let own = format!("http://{}", stage.address());
    assert!(Peer::dial(stage.address(), Some(&own)).await.is_ok());
    assert!(Peer::dial(stage.address(), Some(PORTAL)).await.is_ok());
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_wrongly_is_told_why_and_nothing_else() {
    let stage = Stage::open().await;
    let wrong = |ticket: &str| Control::Attach(Attach { ticket: ticket.into(), ..attach() });
    let cases = [
        (hello(Role::Viewer), wrong("not the ticket"), 4_003, "ticket"),
        (hello(Role::Viewer), wrong(""), 4_003, "ticket"),
        (
            hello(Role::Viewer),
            Control::Attach(Attach { session: "x".into(), ..attach() }),
            4_004,
            "no session",
        ),
        (hello(Role::Viewer), offer("mine", SECRET), 4_001, "expected"),
        (hello(Role::Host), offer("mine", ""), 4_003, "secret"),
        (hello(Role::Host), offer("mine", "not the secret"), 4_003, "secret"),
        (hello(Role::Host), offer(SESSION, SECRET), 4_003, "belongs"),
        (hello(Role::Host), offer("../mine\n", SECRET), 4_003, "name"),
        (hello(Role::Host), Control::Attach(attach()), 4_001, "expected"),
        (hello(Role::Viewer), hello(Role::Viewer), 4_001, "expected"),
    ];
    for (first, second, code, reason) in cases {
        let mut peer = Peer::dial(stage.address(), None).await.unwrap();
        peer.say(&first).await;
        peer.say(&second).await;
        peer.ends_with(code, reason).await;
        assert!(!peer.heard.iter().any(|message| matches!(message, Control::Attached(_))));
    }
    let mut peer = Peer::dial(stage.address(), None).await.unwrap();
    peer.say(&Control::Hello { major: 99, minor: 0, role: Role::Viewer, software: String::new() }).await;
    peer.ends_with(4_002, "99").await;
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_honest_viewer_sends_ends_the_link_with_the_reason() {
    let stage = Stage::open().await;
    let long = [varint(3), varint(MAX_CONTROL as u64 + 1)].concat();
    let event = input(0, &[InputEvent::ReleaseAll]);
    let mut nonsense = input(0, &[]);
    nonsense.extend_from_slice(&[6, 2, 77, 1]);
    let stream = |stream, data| Frame::Stream { stream, end: false, data };
    let ack = Control::Ack { update: 1 << 40, decode_us: 0, missing: Vec::new() }.to_bytes();
    let cases: [(&[Frame], &str); 6] = [
        (&[Frame::Control(&long)], "limit"),
        (&[stream(0, &[2, 1, 0])], "update stream"),
        (&[stream(0, &event), stream(1, &event)], "second input stream"),
        (&[stream(0, &nonsense)], "button"),
        (&[Frame::Datagram(&[1])], "too early"),
        (&[Frame::Control(&ack)], "never sent"),
    ];
    for (frames, reason) in cases {
        let mut peer = Peer::attached(&stage, attach()).await;
        for frame in frames {
            peer.frame(frame).await;
        }
        peer.ends_with(4_001, reason).await;
    }
    let mut peer = Peer::attached(&stage, attach()).await;
    for number in 0..=MAX_STREAMS as u64 {
        peer.frame(&stream(number, &[99])).await;
    }
    peer.ends_with(4_007, "too many streams").await;
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_a_message_and_never_ends_it_is_closed_after_a_while() {
    let stage = Stage::open().await;
    let mut peer = Peer::dial(stage.address(), None).await.unwrap();
    let begun = [varint(3), varint(MAX_CONTROL as u64)].concat();
    peer.say(&hello(Role::Viewer)).await;
    peer.frame(&Frame::Control(&begun)).await;
    for _ in 0..20 {
        peer.frame(&Frame::Control(&[0])).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    peer.ends_with(4_009, "nothing was asked").await;
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_of_a_moving_session_that_never_says_anything_is_given_up() {
    let stage = Stage::open().await;
    let mut peer = Peer::attached(&stage, attach()).await;
    peer.ends_with(4_009, "nothing was heard").await;
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_asks_and_never_reads_costs_little_and_is_closed() {
    let stage = Stage::open().await;
    let mut peer = Peer::attached(&stage, attach()).await;
    let before = resident();
    let ping = Control::Ping { number: u64::MAX >> 2, time_us: u64::MAX >> 2 }.to_bytes();
    let pings = ping.repeat(2_000);
    let flood = async { while peer.frame(&Frame::Control(&pings)).await {} };
    timeout(LONG, flood).await.expect("the flood is cut off");
    let grown = resident().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes");
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_asks_much_and_reads_slowly_costs_little() {
    let stage = Stage::open().await;
    let mut peer = Peer::attached(&stage, attach()).await;
    let before = resident();
    let ping = Control::Ping { number: u64::MAX >> 2, time_us: u64::MAX >> 2 }.to_bytes();
    let pings = ping.repeat(2_000);
    let flood = async {
        while peer.frame(&Frame::Control(&pings)).await {
            for _ in 0..10 {
                let _ = timeout(Duration::from_millis(1), peer.socket.next()).await;
            }
        }
    };
    // It may also be kept, as long as it costs nothing.
    let _ = timeout(Duration::from_secs(6), flood).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes");
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_text_neither_grows_a_queue_nor_stops_the_others() {
    let stage = Stage::open().await;
    let mut peer = Peer::attached(&stage, attach()).await;
    let before = resident();
    peer.frame(&Frame::Stream { stream: 0, end: false, data: &input(0, &[]) }).await;
    let mut text = Vec::new();
    write_event(&mut text, &InputEvent::Text("x".repeat(4_096)));
    let texts = text.repeat(15);
    for _ in 0..400 {
        peer.frame(&Frame::Stream { stream: 0, end: false, data: &texts }).await;
        let _ = timeout(Duration::from_millis(1), peer.socket.next()).await;
    }
    stage.is_well().await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_input_number_is_taken_and_acknowledged() {
    let stage = Stage::open().await;
    let mut peer = Peer::attached(&stage, attach()).await;
    let largest = u64::MAX >> 2;
    let events = [InputEvent::ReleaseAll, InputEvent::ReleaseAll];
    peer.frame(&Frame::Stream { stream: 0, end: false, data: &input(largest, &events) }).await;
    peer.wait_for(|message| matches!(message, Control::InputAck { next } if *next == largest)).await;
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_sizes_reaches_the_others_as_a_few_and_the_last_one_holds() {
    let stage = Stage::open().await;
    let before = stage.sizes_seen().await;
    let mut peer = Peer::attached(&stage, attach()).await;
    let began = std::time::Instant::now();
    for step in 0..2_000u32 {
        peer.say(&Control::Resize { width: 100 + step % 900, height: 100 + step % 700 }).await;
    }
    peer.say(&Control::Resize { width: 16_384, height: 16_384 }).await;
    peer.say(&Control::Resize { width: 800, height: 600 }).await;
    peer.say(&Control::Ping { number: 7, time_us: 7 }).await;
    peer.wait_for(|message| matches!(message, Control::Pong { number: 7, .. })).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let seen = stage.sizes_seen().await - before;
    let periods = began.elapsed().as_millis() as u64 / 200 + 2;
    assert!(seen <= periods, "{seen} sizes in {periods} periods");
    let listed = stage.gateway.registry().list();
    assert_eq!((listed[0].width, listed[0].height), (800, 600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_about_its_screen_cache_and_proofs_harms_nobody() {
    let stage = Stage::open().await;
    let screen =
        KnownScreen { key: HashKey(1), width: 16_384, height: 16_384, hashes: vec![TileHash(7); 16_384] };
    let lies = Attach { cache_bytes: u64::MAX >> 2, screen: Some(screen), ..attach() };
    let mut peer = Peer::attached(&stage, lies).await;
    let mut newest = 0;
    for _ in 0..500 {
        let Ok(Some(Ok(message))) = timeout(LONG, peer.socket.next()).await else { panic!("the link ended") };
        peer.hear(&message);
        let Message::Binary(bytes) = message else { continue };
        if let Ok(Some(Frame::Stream { data, .. })) = read_frame(&bytes)
            && let Ok((header, _)) = read_update(data)
        {
            newest = header.number;
        }
        let missing = (0..10_000).collect();
        peer.say(&Control::Ack { update: newest.max(1), decode_us: u64::MAX >> 2, missing }).await;
        peer.say(&Control::Ack { update: newest.max(1), decode_us: 0, missing: Vec::new() }).await;
        peer.say(&Control::Proof { update: newest, root: 1 }).await;
        peer.say(&Control::Hashes { update: newest, hashes: vec![TileHash(9); 16_384] }).await;
    }
    stage.is_well().await;
}
