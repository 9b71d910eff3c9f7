//! Golden vectors of the wire, shared with the browser client. `CHEVET_WRITE_VECTORS=1` writes them anew.

use chevet::screen::{HashKey, Rect, TileHash};
use chevet::wire::*;
use serde_json::{Value, json};
use std::path::Path as FilePath;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn controls() -> Vec<(&'static str, Control, Value)> {
    let token = Token(std::array::from_fn(|index| index as u8));
    let known = KnownScreen {
        key: HashKey(0x0102_0304_0506_0708),
        width: 100,
        height: 64,
        hashes: vec![TileHash(1), TileHash(u64::MAX)],
    };
    let attach = Attach {
        session: "démo".into(),
        ticket: vec![1, 2, 255],
        width: 1920,
        height: 1080,
        cache_bytes: 64 << 20,
        features: 0,
        token: None,
        screen: None,
    };
    let resume = Attach { token: Some(token), screen: Some(known), ..attach.clone() };
    let attached = Attached {
        token,
        key: HashKey(0x1122_3344_5566_7788),
        width: 1920,
        height: 1080,
        next_input: 70_000,
        title: "Dossier patient".into(),
        policy: Policy::ExactOnly,
    };
    let token_hex = "000102030405060708090a0b0c0d0e0f";
    vec![
        (
            "Hello",
            Control::Hello { major: 1, minor: 0, role: Role::Viewer, software: "chevet test".into() },
            json!({"major": 1, "minor": 0, "role": 1, "software": "chevet test"}),
        ),
        (
            "Welcome",
            Control::Welcome { major: 1, minor: 63, software: "".into() },
            json!({"major": 1, "minor": 63, "software": ""}),
        ),
        (
            "Attach",
            Control::Attach(attach),
            json!({"session": "démo", "ticket": "0102ff", "width": 1920, "height": 1080,
                "cache_bytes": 64 << 20, "features": "0000000000000000", "token": null, "screen": null}),
        ),
        (
            "Attach",
            Control::Attach(resume),
            json!({"session": "démo", "ticket": "0102ff", "width": 1920, "height": 1080,
                "cache_bytes": 64 << 20, "features": "0000000000000000", "token": token_hex,
                "screen": {"key": "0102030405060708", "width": 100, "height": 64,
                    "hashes": ["0000000000000001", "ffffffffffffffff"]}}),
        ),
        (
            "Attached",
            Control::Attached(attached),
            json!({"token": token_hex, "key": "1122334455667788", "width": 1920, "height": 1080,
                "next_input": 70_000, "title": "Dossier patient", "policy": "exact-only"}),
        ),
        (
            "Ack",
            Control::Ack { update: 16_384, decode_us: 1_073_741_824, missing: vec![0, 64, 16_000] },
            json!({"update": 16_384, "decode_us": 1_073_741_824, "missing": [0, 64, 16_000]}),
        ),
        ("Resize", Control::Resize { width: 1366, height: 768 }, json!({"width": 1366, "height": 768})),
        (
            "Cursor",
            Control::Cursor(Cursor { width: 2, height: 1, hot_x: 1, hot_y: 0, rgba: (0..8).collect() }),
            json!({"width": 2, "height": 1, "hot_x": 1, "hot_y": 0, "rgba": "0001020304050607"}),
        ),
        (
            "Cursor",
            Control::Cursor(Cursor::default()),
            json!({"width": 0, "height": 0, "hot_x": 0, "hot_y": 0, "rgba": ""}),
        ),
        ("CursorAt", Control::CursorAt { x: 5, y: 1079 }, json!({"x": 5, "y": 1079})),
        (
            "State",
            Control::State { live: false, text: "en attente".into() },
            json!({"live": false, "text": "en attente"}),
        ),
        ("InputAck", Control::InputAck { next: 9 }, json!({"next": 9})),
        (
            "Proof",
            Control::Proof { update: 3, root: 0xCBF2_9CE4_8422_2325 },
            json!({"update": 3, "root": "cbf29ce484222325"}),
        ),
        ("Verdict", Control::Verdict { update: 3, agreed: true }, json!({"update": 3, "agreed": true})),
        ("HashesWanted", Control::HashesWanted { update: 3 }, json!({"update": 3})),
        (
            "Hashes",
            Control::Hashes { update: 3, hashes: vec![TileHash(2)] },
            json!({"update": 3, "hashes": ["0000000000000002"]}),
        ),
        (
            "Ping",
            Control::Ping { number: 1, time_us: 9_007_199_254_740_991 },
            json!({"number": 1, "time_us": 9_007_199_254_740_991u64}),
        ),
        (
            "Pong",
            Control::Pong { number: 1, ping_time_us: 5, time_us: 6 },
            json!({"number": 1, "ping_time_us": 5, "time_us": 6}),
        ),
        ("Dropped", Control::Dropped { update: 44 }, json!({"update": 44})),
        (
            "Path",
            Control::Path(Path {
                round_trip_us: 800,
                bytes_per_second: 1_000_000,
                lost_per_million: 5_000,
                in_flight_bytes: 0,
            }),
            json!({"round_trip_us": 800, "bytes_per_second": 1_000_000, "lost_per_million": 5_000,
                "in_flight_bytes": 0}),
        ),
        (
            "Closing",
            Control::Closing { code: CloseCode::TAKEN_OVER, reason: "poste 12".into() },
            json!({"code": 5, "reason": "poste 12"}),
        ),
        (
            "Offer",
            Control::Offer { session: "a".into(), title: "A".into(), secret: Secret(vec![9]) },
            json!({"session": "a", "title": "A", "secret": "09"}),
        ),
        ("Busy", Control::Busy { busy: true }, json!({"busy": true})),
        ("VideoFailed", Control::VideoFailed { video: 3 }, json!({"video": 3})),
        ("Policy", Control::Policy { policy: Policy::Motion }, json!({"policy": "motion"})),
        (
            "Ticket",
            Control::Ticket { ticket: Secret(b"c1.e30.AA".to_vec()) },
            json!({"ticket": hex(b"c1.e30.AA")}),
        ),
        (
            "Message",
            Control::Message { text: "Maintenance à 18 h".into() },
            json!({"text": "Maintenance à 18 h"}),
        ),
        ("Recorded", Control::Recorded { recorded: true }, json!({"recorded": true})),
        ("Clip", Control::Clip(ClipText("Œdème\n🩺".into())), json!({"text": "Œdème\n🩺"})),
        (
            "Gateways",
            Control::Gateways(vec![
                GatewayAddress {
                    host: "gw-2.example".into(),
                    udp_port: Some(4380),
                    tcp_port: 443,
                    tls: true,
                    pins: vec![[0xAB; 32]],
                },
                GatewayAddress {
                    host: "10.0.0.3".into(),
                    udp_port: None,
                    tcp_port: 4380,
                    tls: false,
                    pins: vec![],
                },
            ]),
            json!({"gateways": [
                {"host": "gw-2.example", "udp_port": 4380, "tcp_port": 443, "tls": true, "pins": ["ab".repeat(32)]},
                {"host": "10.0.0.3", "udp_port": 0, "tcp_port": 4380, "tls": false, "pins": []}]}),
        ),
        ("Move", Control::Move, json!({})),
        (
            "Picture",
            Control::Picture(PicturePart {
                picture: 7,
                total: 8 << 20,
                from: 16_384,
                bytes: b"\x89PNG".as_slice().into(),
            }),
            json!({"picture": 7, "total": 8 << 20, "from": 16_384, "bytes": hex(b"\x89PNG")}),
        ),
        (
            "Picture",
            Control::Picture(PicturePart { picture: 1, total: 100, from: 0, bytes: Default::default() }),
            json!({"picture": 1, "total": 100, "from": 0, "bytes": ""}),
        ),
        (
            "PictureWanted",
            Control::PictureWanted { picture: 7, from: 32_768 },
            json!({"picture": 7, "from": 32_768}),
        ),
        ("ClipTaken", Control::ClipTaken { taken: true }, json!({"taken": true})),
        (
            "Sound",
            Control::Sound(Some(SoundFormat { rate: 48_000, channels: 2, frame: 960 })),
            json!({"format": {"rate": 48_000, "channels": 2, "frame": 960}}),
        ),
        ("Sound", Control::Sound(None), json!({"format": null})),
        ("SoundWanted", Control::SoundWanted { wanted: true }, json!({"wanted": true})),
        (
            "Terms",
            Control::Terms(Terms {
                clipboard_out: true,
                share: true,
                idle_lock_ms: 600_000,
                marking: Marking::Viewer,
                mark: "Zoé · salle 3".into(),
                ..Terms::default()
            }),
            json!({"clipboard_in": false, "clipboard_out": true, "resize": false, "share": true,
                "idle_lock_ms": 600_000, "marking": "viewer", "mark": "Zoé · salle 3"}),
        ),
        (
            "Terms",
            Control::Terms(Terms {
                clipboard_in: true,
                resize: true,
                marking: Marking::BurntIn,
                mark: "Zoé · salle 3".into(),
                ..Terms::default()
            }),
            json!({"clipboard_in": true, "clipboard_out": false, "resize": true, "share": false,
                "idle_lock_ms": 0, "marking": "burnt-in", "mark": "Zoé · salle 3"}),
        ),
        (
            "WatchAsked",
            Control::WatchAsked { ask: 300, title: "Paul".into(), seat: "A2".into(), administrator: true },
            json!({"ask": 300, "title": "Paul", "seat": "A2", "administrator": true}),
        ),
        ("WatchOver", Control::WatchOver { ask: 300 }, json!({"ask": 300})),
        (
            "WatchAnswer",
            Control::WatchAnswer { ask: 300, admitted: true },
            json!({"ask": 300, "admitted": true}),
        ),
        (
            "Watchers",
            Control::Watchers(vec![
                Watcher { id: 7, title: "Paul".into(), controls: true, ..Watcher::default() },
                Watcher { id: 8, seat: "A2".into(), administrator: true, you: true, ..Watcher::default() },
            ]),
            json!({"watchers": [
                {"id": 7, "title": "Paul", "seat": "", "controls": true, "administrator": false, "you": false},
                {"id": 8, "title": "", "seat": "A2", "controls": false, "administrator": true, "you": true}]}),
        ),
        (
            "WatcherOrder",
            Control::WatcherOrder { watcher: 7, order: WatcherOrder::Dismiss },
            json!({"watcher": 7, "order": 3}),
        ),
    ]
}

fn events() -> Vec<(&'static str, InputEvent, Value)> {
    vec![
        ("KeyDown", InputEvent::KeyDown { key: 4, keysym: 0x61 }, json!({"key": 4, "keysym": 0x61})),
        (
            "KeyUp",
            InputEvent::KeyUp { key: 0, keysym: 0x0100_20AC },
            json!({"key": 0, "keysym": 0x0100_20AC}),
        ),
        ("Text", InputEvent::Text("œ€".into()), json!({"text": "œ€"})),
        ("ReleaseAll", InputEvent::ReleaseAll, json!({})),
        ("PointerMove", InputEvent::PointerMove { x: 63, y: 64 }, json!({"x": 63, "y": 64})),
        (
            "PointerButton",
            InputEvent::PointerButton { button: Button::Right, down: true, x: 1, y: 2 },
            json!({"button": 3, "down": true, "x": 1, "y": 2}),
        ),
        (
            "Wheel",
            InputEvent::Wheel { horizontal: -120, vertical: 40, x: 1, y: 2 },
            json!({"horizontal": -120, "vertical": 40, "x": 1, "y": 2}),
        ),
    ]
}

fn video() -> (UpdateHeader, Value) {
    let header = UpdateHeader {
        number: 8,
        after: 6,
        epoch: 1,
        width: 1920,
        height: 1080,
        captured_us: 5,
        caught_up: true,
        tiles: vec![31, 32],
        video: Some(VideoFrame { video: 2, frame: 300, rect: Rect::new(70, 64, 100, 48) }),
        ..UpdateHeader::default()
    };
    let value = json!({"number": 8, "after": 6, "epoch": 1, "width": 1920, "height": 1080,
        "captured_us": 5, "complete": false, "caught_up": true, "keep": false, "copies": [], "cached": [], "tiles": [31, 32], "parts": [],
        "video": {"video": 2, "frame": 300, "x": 70, "y": 64, "width": 100, "height": 48},
        "short": false, "sized": false, "root": 0, "live": null, "payload": "aabb"});
    (header, value)
}

fn update() -> (UpdateHeader, Value) {
    let header = UpdateHeader {
        number: 7,
        after: 6,
        epoch: 1,
        width: 1920,
        height: 1080,
        captured_us: 123_456_789,
        complete: true,
        caught_up: false,
        keep: true,
        copies: vec![CopyRect { from: Rect::new(0, 20, 1900, 1000), x: 0, y: 0 }],
        cached: vec![
            CachedTile { tile: 2, hash: TileHash(0x0102_0304_0506_0708) },
            CachedTile { tile: 3, hash: TileHash(9) },
        ],
        tiles: vec![0, 1, 30, 31, 509],
        parts: vec![
            TilePart { tile: 1, within: Rect::new(0, 0, 64, 1) },
            TilePart { tile: 509, within: Rect::new(63, 55, 1, 1) },
        ],
        ..UpdateHeader::default()
    };
    let value = json!({"number": 7, "after": 6, "epoch": 1, "width": 1920, "height": 1080,
        "captured_us": 123_456_789, "complete": true, "caught_up": false, "keep": true,
        "copies": [{"x": 0, "y": 20, "width": 1900, "height": 1000, "to_x": 0, "to_y": 0}],
        "cached": [{"tile": 2, "hash": "0102030405060708"}, {"tile": 3, "hash": "0000000000000009"}],
        "tiles": [0, 1, 30, 31, 509],
        "parts": [{"tile": 1, "x": 0, "y": 0, "width": 64, "height": 1},
            {"tile": 509, "x": 63, "y": 55, "width": 1, "height": 1}],
        "video": null, "short": false, "sized": false, "root": 0, "live": null, "payload": "aabb"});
    (header, value)
}

/// The short form: a letter, complete, that goes on from what an earlier update taught; and much at once.
fn short() -> [(UpdateHeader, Value); 2] {
    let (longer, longer_value) = update();
    let letter = UpdateHeader {
        number: 300,
        after: 299,
        epoch: 1,
        width: 1920,
        height: 1080,
        captured_us: 5,
        complete: true,
        caught_up: true,
        tiles: vec![31],
        parts: vec![TilePart { tile: 31, within: Rect::new(3, 4, 9, 14) }],
        short: true,
        root: 0x0102_0304,
        live: Some(Live { base: 298, kept: true, oldest: 296 }),
        ..UpdateHeader::default()
    };
    let value = json!({"number": 300, "after": 299, "epoch": 1, "width": 1920, "height": 1080,
        "captured_us": 5, "complete": true, "caught_up": true, "keep": false, "copies": [], "cached": [],
        "tiles": [31], "parts": [{"tile": 31, "x": 3, "y": 4, "width": 9, "height": 14}], "video": null,
        "short": true, "sized": false, "root": 0x0102_0304,
        "live": {"base": 298, "kept": true, "oldest": 296}, "payload": "aabb"});
    let many = UpdateHeader { short: true, sized: true, complete: false, caught_up: true, ..longer };
    let mut many_value = longer_value;
    for (name, value) in [
        ("short", json!(true)),
        ("sized", json!(true)),
        ("complete", json!(false)),
        ("caught_up", json!(true)),
    ] {
        many_value[name] = value;
    }
    [(letter, value), (many, many_value)]
}

fn check(file: &str, messages: Vec<Value>) -> Vec<Vec<u8>> {
    let path = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/wire").join(file);
    let wanted = json!({ "messages": messages });
    if std::env::var_os("CHEVET_WRITE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&wanted).unwrap() + "\n").unwrap();
    }
    let found: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(found, wanted, "{file} differs from what this version writes");
    let listed = found["messages"].as_array().unwrap();
    listed.iter().map(|message| unhex(message["hex"].as_str().unwrap())).collect()
}

#[test]
fn control_messages_are_written_and_read_as_recorded() {
    let messages = controls();
    let recorded = messages
        .iter()
        .map(|(name, message, value)| json!({"name": name, "hex": hex(&message.to_bytes()), "value": value}))
        .collect();
    for (bytes, (name, message, _)) in check("control.json", recorded).iter().zip(&messages) {
        let mut reader = ControlReader::new();
        // Byte by byte, and after a message of a type that nobody knows.
        for &byte in [&[0x3F, 2, 0xAA, 0xBB][..], bytes].concat().iter() {
            assert_eq!(reader.next(), Ok(None));
            reader.push(&[byte]);
        }
        assert_eq!(reader.next().unwrap().as_ref(), Some(message), "{name}");
    }
}

#[test]
fn input_events_are_written_and_read_as_recorded() {
    let events = events();
    let recorded = events
        .iter()
        .map(|(name, event, value)| {
            let mut bytes = Vec::new();
            write_event(&mut bytes, event);
            json!({"name": name, "hex": hex(&bytes), "value": value})
        })
        .collect();
    let mut stream = Vec::new();
    write_input_start(&mut stream, 1_000);
    check("input.json", recorded).iter().for_each(|bytes| stream.extend_from_slice(bytes));
    let mut reader = InputReader::new();
    reader.push(&stream);
    for (index, (name, event, _)) in events.into_iter().enumerate() {
        assert!(reader.next() == Ok(Some((1_000 + index as u64, event))), "{name}");
    }
    assert!(reader.next() == Ok(None));
}

#[test]
fn updates_motions_and_frames_are_written_and_read_as_recorded() {
    let [letter, many] = short();
    let updates = [update(), video(), letter, many];
    let recorded = updates
        .iter()
        .map(|(header, value)| {
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            bytes.extend_from_slice(&[0xAA, 0xBB]);
            json!({"name": "Update", "hex": hex(&bytes), "value": value})
        })
        .collect();
    for (bytes, (header, _)) in check("update.json", recorded).iter().zip(updates) {
        let shown = Some(Shown { epoch: 1, width: 1920, height: 1080 });
        assert_eq!(read_update_of(bytes, shown), Ok((header, &[0xAA, 0xBB][..])));
    }

    let motion = Motion { counter: 300, next_input: 2, x: 100, y: 16_000 };
    let mut bytes = Vec::new();
    motion.write(&mut bytes);
    let value = json!({"counter": 300, "next_input": 2, "x": 100, "y": 16_000});
    let listed = check("motion.json", vec![json!({"name": "Motion", "hex": hex(&bytes), "value": value})]);
    assert_eq!(Motion::read(&listed[0]), Ok(Some(motion)));

    let packet = SoundPacket { number: 70_000, time_us: 1_234_567, opus: vec![0xFC, 0xFF, 0xFE].into() };
    let mut bytes = Vec::new();
    packet.write(&mut bytes);
    let value = json!({"number": 70_000, "time_us": 1_234_567, "opus": "fcfffe"});
    let listed = check("sound.json", vec![json!({"name": "Sound", "hex": hex(&bytes), "value": value})]);
    assert_eq!(SoundPacket::read(&listed[0]), Ok(Some(packet)));

    let frames = [
        (Frame::Control(&[1, 2]), json!({"kind": "control", "data": "0102"})),
        (
            Frame::Stream { stream: 64, end: true, data: &[3] },
            json!({"kind": "stream", "stream": 64, "end": true, "data": "03"}),
        ),
        (Frame::Reset { stream: 5, code: 7 }, json!({"kind": "reset", "stream": 5, "code": 7})),
        (Frame::Datagram(&[4]), json!({"kind": "datagram", "data": "04"})),
    ];
    let recorded = frames
        .iter()
        .map(|(frame, value)| {
            let mut bytes = Vec::new();
            write_frame(&mut bytes, frame);
            json!({"name": "Frame", "hex": hex(&bytes), "value": value})
        })
        .collect();
    for (bytes, (frame, _)) in check("frame.json", recorded).iter().zip(frames) {
        assert_eq!(read_frame(bytes), Ok(Some(frame)));
    }
}
