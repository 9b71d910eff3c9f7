//! The wire over arbitrary bytes and arbitrary messages: nothing panics, nothing swells, all reads back.

use chevet::screen::{Grid, HashKey, Rect, TileHash};
use chevet::wire::*;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

const VARINT: u64 = 1 << 62;

fn number() -> impl Strategy<Value = u64> {
    (0..VARINT, 0u32..62).prop_map(|(value, shift)| value >> shift)
}

fn side() -> impl Strategy<Value = u32> {
    0u32..=16_384
}

fn name() -> impl Strategy<Value = String> {
    "\\PC{0,60}"
}

fn marking() -> impl Strategy<Value = Marking> {
    prop_oneof![Just(Marking::None), Just(Marking::Viewer), Just(Marking::BurntIn)]
}

fn gateway() -> impl Strategy<Value = GatewayAddress> {
    (name(), option::of(1u16..), any::<u16>(), any::<bool>(), vec(any::<[u8; 32]>(), 0..3)).prop_map(
        |(host, udp_port, tcp_port, tls, pins)| GatewayAddress { host, udp_port, tcp_port, tls, pins },
    )
}

fn watcher() -> impl Strategy<Value = Watcher> {
    (number(), name(), name(), any::<[bool; 3]>()).prop_map(
        |(id, title, seat, [controls, administrator, you])| Watcher {
            id,
            title,
            seat,
            controls,
            administrator,
            you,
        },
    )
}

fn watcher_order() -> impl Strategy<Value = WatcherOrder> {
    prop_oneof![Just(WatcherOrder::GiveControl), Just(WatcherOrder::TakeControl), Just(WatcherOrder::Dismiss)]
}

fn sound_format() -> impl Strategy<Value = SoundFormat> {
    (0u32..=192_000, 1u8..=8, 0u32..=11_520).prop_map(|(rate, channels, frame)| SoundFormat {
        rate,
        channels,
        frame,
    })
}

fn hashes() -> impl Strategy<Value = Vec<TileHash>> {
    vec(any::<u64>().prop_map(TileHash), 0..40)
}

fn known_screen() -> impl Strategy<Value = KnownScreen> {
    (any::<u64>(), side(), side(), hashes()).prop_map(|(key, width, height, hashes)| KnownScreen {
        key: HashKey(key),
        width,
        height,
        hashes,
    })
}

fn attach() -> impl Strategy<Value = Control> {
    let wish = (name(), vec(any::<u8>(), 0..100), side(), side(), number(), any::<u64>());
    (wish, option::of(any::<[u8; 16]>()), option::of(known_screen())).prop_map(
        |((session, ticket, width, height, cache_bytes, features), token, screen)| {
            let token = token.map(Token);
            Control::Attach(Attach { session, ticket, width, height, cache_bytes, features, token, screen })
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    (0..Policy::ALL.len()).prop_map(|index| Policy::ALL[index])
}

fn attached() -> impl Strategy<Value = Control> {
    (any::<[u8; 16]>(), any::<u64>(), side(), side(), number(), name(), policy()).prop_map(
        |(token, key, width, height, next_input, title, policy)| {
            let (token, key) = (Token(token), HashKey(key));
            Control::Attached(Attached { token, key, width, height, next_input, title, policy })
        },
    )
}

fn cursor() -> impl Strategy<Value = Control> {
    (0u16..12, 0u16..12, 0u16..=256, 0u16..=256, any::<u8>()).prop_map(
        |(width, height, hot_x, hot_y, ink)| {
            let rgba = vec![ink; usize::from(width) * usize::from(height) * 4];
            Control::Cursor(Cursor { width, height, hot_x, hot_y, rgba })
        },
    )
}

fn from_viewers() -> impl Strategy<Value = Control> {
    let role = prop_oneof![Just(Role::Viewer), Just(Role::Host)];
    prop_oneof![
        (number(), number(), role, name()).prop_map(|(major, minor, role, software)| Control::Hello {
            major,
            minor,
            role,
            software
        }),
        attach(),
        (number(), number(), vec(0u32..16_384, 0..50))
            .prop_map(|(update, decode_us, missing)| Control::Ack { update, decode_us, missing }),
        (side(), side()).prop_map(|(width, height)| Control::Resize { width, height }),
        (number(), any::<u64>()).prop_map(|(update, root)| Control::Proof { update, root }),
        (number(), hashes()).prop_map(|(update, hashes)| Control::Hashes { update, hashes }),
        (number(), number()).prop_map(|(number, time_us)| Control::Ping { number, time_us }),
        (name(), name(), vec(any::<u8>(), 0..100)).prop_map(|(session, title, secret)| Control::Offer {
            session,
            title,
            secret: Secret(secret)
        }),
        number().prop_map(|video| Control::VideoFailed { video }),
    ]
}

fn token() -> impl Strategy<Value = Secret> {
    vec(any::<u8>(), 0..40).prop_map(Secret)
}

fn running() -> impl Strategy<Value = RunningSession> {
    (name(), name(), name(), token()).prop_map(|(session, application, user, token)| RunningSession {
        session,
        application,
        user,
        token,
    })
}

fn end_reason() -> impl Strategy<Value = EndReason> {
    prop::sample::select(EndReason::ALL.to_vec())
}

fn start() -> impl Strategy<Value = HostMessage> {
    let names = (number(), [name(), name(), name(), name(), name()], token());
    let limits = (number(), any::<u32>(), any::<u32>(), number(), policy());
    let command = (vec(name(), 0..5), vec((name(), name()), 0..5));
    (names, side(), side(), command, limits).prop_map(|(names, width, height, command, limits)| {
        let (request, [session, application, title, user, user_name], token) = names;
        let (command, environment) = command;
        let (memory_mib, cpu_percent, tasks, idle_seconds, policy) = limits;
        HostMessage::Start(Box::new(Start {
            request,
            session,
            application,
            title,
            user,
            user_name,
            token,
            width,
            height,
            command,
            environment,
            memory_mib,
            cpu_percent,
            tasks,
            idle_seconds,
            policy,
        }))
    })
}

fn of_hosts() -> impl Strategy<Value = Control> {
    let key = vec(any::<u8>(), 0..=64);
    let offers = (name(), key, token(), any::<u32>(), vec(name(), 0..6), vec(running(), 0..6)).prop_map(
        |(host, key, proof, capacity, applications, running)| {
            HostMessage::Offers(HostOffers { host, key, proof, capacity, applications, running })
        },
    );
    let load = (any::<u32>(), 0u32..=1_000, number(), any::<bool>()).prop_map(
        |(running, cpu_per_mille, memory_free_mib, draining)| {
            HostMessage::Load(HostLoad { running, cpu_per_mille, memory_free_mib, draining })
        },
    );
    prop_oneof![
        offers,
        load,
        start(),
        (number(), name()).prop_map(|(request, error)| HostMessage::Started { request, error }),
        (name(), end_reason()).prop_map(|(session, reason)| HostMessage::End { session, reason }),
        (name(), end_reason(), name()).prop_map(|(session, reason, text)| HostMessage::Ended {
            session,
            reason,
            text
        }),
    ]
    .prop_map(Control::Host)
}

fn picture_part() -> impl Strategy<Value = PicturePart> {
    (number(), 0u32..8 << 20, vec(any::<u8>(), 0..300), 0u32..1_000).prop_map(
        |(picture, from, bytes, rest)| {
            let total = (from + bytes.len() as u32 + rest).clamp(1, 8 << 20);
            let from = from.min(total - (bytes.len() as u32).min(total));
            PicturePart { picture, total, from, bytes: bytes.into() }
        },
    )
}

fn from_sessions() -> impl Strategy<Value = Control> {
    prop_oneof![
        (number(), number(), name()).prop_map(|(major, minor, software)| Control::Welcome {
            major,
            minor,
            software
        }),
        attached(),
        cursor(),
        policy().prop_map(|policy| Control::Policy { policy }),
        vec(any::<u8>(), 0..100).prop_map(|ticket| Control::Ticket { ticket: Secret(ticket) }),
        name().prop_map(|text| Control::Message { text }),
        any::<bool>().prop_map(|recorded| Control::Recorded { recorded }),
        name().prop_map(|text| Control::Clip(ClipText(text))),
        any::<bool>().prop_map(|taken| Control::ClipTaken { taken }),
        picture_part().prop_map(Control::Picture),
        (number(), 0u32..8 << 20).prop_map(|(picture, from)| Control::PictureWanted { picture, from }),
        option::of(sound_format()).prop_map(Control::Sound),
        any::<bool>().prop_map(|wanted| Control::SoundWanted { wanted }),
        vec(gateway(), 0..4).prop_map(Control::Gateways),
        Just(Control::Move),
        (any::<[bool; 4]>(), number(), marking(), name()).prop_map(|(flags, idle_lock_ms, marking, mark)| {
            let [clipboard_in, clipboard_out, resize, share] = flags;
            Control::Terms(Terms { clipboard_in, clipboard_out, resize, share, idle_lock_ms, marking, mark })
        }),
        (number(), name(), name(), any::<bool>()).prop_map(|(ask, title, seat, administrator)| {
            Control::WatchAsked { ask, title, seat, administrator }
        }),
        number().prop_map(|ask| Control::WatchOver { ask }),
        (number(), any::<bool>()).prop_map(|(ask, admitted)| Control::WatchAnswer { ask, admitted }),
        vec(watcher(), 0..6).prop_map(Control::Watchers),
        (number(), watcher_order()).prop_map(|(watcher, order)| Control::WatcherOrder { watcher, order }),
        (side(), side()).prop_map(|(x, y)| Control::CursorAt { x, y }),
        (any::<bool>(), name()).prop_map(|(live, text)| Control::State { live, text }),
        number().prop_map(|next| Control::InputAck { next }),
        (number(), any::<bool>()).prop_map(|(update, agreed)| Control::Verdict { update, agreed }),
        number().prop_map(|update| Control::HashesWanted { update }),
        (number(), number(), number()).prop_map(|(number, ping_time_us, time_us)| Control::Pong {
            number,
            ping_time_us,
            time_us
        }),
        number().prop_map(|update| Control::Dropped { update }),
        (number(), number(), number(), number()).prop_map(
            |(round_trip_us, bytes_per_second, lost_per_million, in_flight_bytes)| Control::Path(Path {
                round_trip_us,
                bytes_per_second,
                lost_per_million,
                in_flight_bytes
            })
        ),
        (0u32..1 << 30, name()).prop_map(|(code, reason)| Control::Closing { code: CloseCode(code), reason }),
        any::<bool>().prop_map(|busy| Control::Busy { busy }),
    ]
}

fn control() -> impl Strategy<Value = Control> {
    prop_oneof![from_viewers(), from_sessions(), of_hosts()]
}

/// What an event is made of: `InputEvent` itself cannot be printed.
type EventParts = (u8, u16, u32, String, i16, i16);

fn event_parts() -> impl Strategy<Value = EventParts> {
    (0u8..8, 0u16..=16_384, any::<u32>(), name(), any::<i16>(), any::<i16>())
}

fn event((kind, key, keysym, text, horizontal, vertical): EventParts) -> InputEvent {
    let (x, y, down) = (key, (keysym % 16_385) as u16, keysym.is_multiple_of(2));
    let buttons = [Button::Left, Button::Middle, Button::Right, Button::Back, Button::Forward];
    match kind {
        7 => {
            let event = event((keysym as u8 % 7, key, keysym, text, horizontal, vertical));
            let viewer = Token([key as u8; 16]);
            InputEvent::Of(Box::new(Origin { viewer, number: keysym.into(), event }))
        }
        0 => InputEvent::KeyDown { key, keysym },
        1 => InputEvent::KeyUp { key, keysym },
        2 => InputEvent::Text(text),
        3 => InputEvent::ReleaseAll,
        4 => InputEvent::PointerMove { x, y },
        5 => InputEvent::PointerButton { button: buttons[keysym as usize % 5], down, x, y },
        _ => InputEvent::Wheel { horizontal, vertical, x, y },
    }
}

fn copies(screen: Rect) -> impl Strategy<Value = Vec<CopyRect>> {
    let copy = any::<[u32; 6]>().prop_map(move |[width, height, x, y, to_x, to_y]| {
        let (width, height) = (width % screen.width + 1, height % screen.height + 1);
        let inside = |value: u32, room: u32| value % (room + 1);
        let (across, down) = (screen.width - width, screen.height - height);
        let from = Rect::new(inside(x, across), inside(y, down), width, height);
        CopyRect { from, x: inside(to_x, across), y: inside(to_y, down) }
    });
    vec(copy, 0..20)
}

/// Of every third tile a part: what lies right of and below its middle.
fn some_parts(tiles: &std::collections::BTreeSet<u32>, grid: Grid) -> Vec<TilePart> {
    let part = |&tile: &u32| {
        let Rect { width, height, .. } = grid.rect(tile);
        let within = Rect::new(width / 2, height / 2, width - width / 2, height - height / 2);
        TilePart { tile, within }
    };
    tiles.iter().step_by(3).map(part).collect()
}

fn update() -> impl Strategy<Value = UpdateHeader> {
    let size = (1u32..2_000, 1u32..2_000);
    let order = (1..VARINT, any::<u64>(), number(), number());
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<[u64; 2]>(), any::<u32>());
    (size, order, flags).prop_flat_map(
        |(
            (width, height),
            (number, after, epoch, captured_us),
            (complete, keep, short, [base, oldest], root),
        )| {
            let tiles = Grid::new(width, height).len() as u32;
            let listed = move || btree_set(0..tiles, 0..=tiles.min(200) as usize);
            (copies(Rect::new(0, 0, width, height)), listed(), listed()).prop_map(
                move |(copies, named, tiles)| {
                    let back = base % number.min(1 << 40);
                    let base = if back == 0 { 0 } else { number - back };
                    let oldest = if base == 0 { oldest % (number + 1) } else { oldest % (base + 1) };
                    UpdateHeader {
                        short,
                        sized: short && !keep,
                        root: if short && complete { root } else { 0 },
                        // Parts alone: of fewer than two tiles all are parts.
                        live: (short && tiles.len() == 1).then_some(Live { base, kept: keep, oldest }),
                        parts: some_parts(&tiles, Grid::new(width, height)),
                        number,
                        after: after % number,
                        epoch,
                        width,
                        height,
                        captured_us,
                        complete,
                        caught_up: if short { complete || keep } else { complete ^ keep },
                        keep,
                        copies,
                        cached: named
                            .into_iter()
                            .map(|tile| CachedTile { tile, hash: TileHash(tile.into()) })
                            .collect(),
                        tiles: tiles.into_iter().collect(),
                        video: None,
                    }
                },
            )
        },
    )
}

/// Bytes on the heap of a message, at least as they are counted by its content.
fn heap_bytes(message: &Control) -> usize {
    match message {
        Control::Attach(attach) => {
            let hashes = attach.screen.as_ref().map_or(0, |screen| screen.hashes.capacity() * 8);
            attach.session.capacity() + attach.ticket.capacity() + hashes
        }
        Control::Ack { missing, .. } => missing.capacity() * 4,
        Control::Hashes { hashes, .. } => hashes.capacity() * 8,
        Control::Cursor(cursor) => cursor.rgba.capacity(),
        Control::Watchers(watchers) => {
            let texts = watchers.iter().map(|w| w.title.capacity() + w.seat.capacity());
            watchers.len() * 4 + texts.sum::<usize>()
        }
        Control::WatchAsked { title, seat, .. } => title.capacity() + seat.capacity(),
        Control::Offer { session, title, secret } => {
            session.capacity() + title.capacity() + secret.0.capacity()
        }
        Control::Hello { software: text, .. }
        | Control::Welcome { software: text, .. }
        | Control::State { text, .. }
        | Control::Message { text }
        | Control::Terms(Terms { mark: text, .. })
        | Control::Closing { reason: text, .. } => text.capacity(),
        Control::Host(HostMessage::Offers(offers)) => {
            let texts = offers.applications.iter().map(String::capacity).sum::<usize>();
            let running = offers.running.iter().map(|it| it.session.capacity() + it.token.0.capacity());
            offers.host.capacity() + offers.key.capacity() + texts + running.sum::<usize>()
        }
        Control::Host(HostMessage::Start(start)) => {
            let variables = start.environment.iter().map(|(name, value)| name.capacity() + value.capacity());
            start.command.iter().map(String::capacity).sum::<usize>() + variables.sum::<usize>()
        }
        _ => 0,
    }
}

fn read_all(stream: &[u8], pieces: usize) -> Result<Vec<Control>, WireError> {
    let mut reader = ControlReader::new();
    let mut messages = Vec::new();
    for piece in stream.chunks(pieces) {
        reader.push(piece);
        while let Some(message) = reader.next()? {
            messages.push(message);
        }
    }
    Ok(messages)
}

fn read_events(stream: &[u8], pieces: usize) -> Result<Vec<(u64, InputEvent)>, WireError> {
    let mut reader = InputReader::new();
    let mut events = Vec::new();
    for piece in stream.chunks(pieces) {
        reader.push(piece);
        while let Some(event) = reader.next()? {
            events.push(event);
        }
    }
    Ok(events)
}

proptest! {
    #[test]
    fn any_bytes_are_a_control_message_no_larger_than_they_or_an_error(body in vec(any::<u8>(), 0..400)) {
        for kind in 0..=41 {
            if let Ok(Some(message)) = Control::read(kind, &body) {
                prop_assert!(heap_bytes(&message) <= body.len() * 4 + 64, "{:?}", message);
                prop_assert_eq!(read_all(&message.to_bytes(), usize::MAX), Ok(vec![message]));
            }
        }
    }

    #[test]
    fn any_bytes_are_a_control_stream_or_an_error(stream in vec(any::<u8>(), 1..400), pieces in 1usize..50) {
        prop_assert_eq!(read_all(&stream, pieces), read_all(&stream, usize::MAX));
    }

    #[test]
    fn any_bytes_are_input_or_an_error(rest in vec(any::<u8>(), 0..400), pieces in 1usize..50) {
        let stream = [&[1, 7], &rest[..]].concat();
        prop_assert!(read_events(&stream, pieces) == read_events(&stream, usize::MAX));
        prop_assert!(read_events(&rest, pieces) == read_events(&rest, usize::MAX));
    }

    #[test]
    fn any_bytes_are_a_datagram_or_an_error(bytes in vec(any::<u8>(), 0..40)) {
        for datagram in [bytes.clone(), [&[1], &bytes[..]].concat(), [&[4], &bytes[..]].concat()] {
            if let Ok(Some(packet)) = SoundPacket::read(&datagram) {
                let mut written = Vec::new();
                packet.write(&mut written);
                prop_assert_eq!(SoundPacket::read(&written), Ok(Some(packet)));
            }
            if let Ok(Some(motion)) = Motion::read(&datagram) {
                let mut written = Vec::new();
                motion.write(&mut written);
                prop_assert_eq!(Motion::read(&written), Ok(Some(motion)));
            }
        }
    }

    #[test]
    fn any_bytes_are_an_update_or_an_error(
        rest in vec(any::<u8>(), 0..200), small in vec(0u8..6, 0..40), screen in any::<[u8; 2]>(),
    ) {
        // Small values reach deeper than arbitrary ones.
        let [width, height] = screen.map(|side| side & 0x3F);
        let likely = [&[2, 5, 0, 1, width, height, 0, 0], &small[..], &rest[..]].concat();
        let short = [&[3], &small[..1.min(small.len())], &[5, 5, 1, 0], &small[..], &rest[..]].concat();
        for stream in [rest, likely, short] {
            let shown = Some(Shown { epoch: 1, width: u32::from(width) + 1, height: u32::from(height) + 1 });
            let Ok((header, payload)) = read_update_of(&stream, shown) else { continue };
            let lists = header.copies.len() * 6 + header.cached.len() * 9;
            prop_assert!(lists + payload.len() <= stream.len() && header.tiles.len() <= 4_096);
            let mut written = Vec::new();
            header.write(&mut written);
            written.extend_from_slice(payload);
            prop_assert_eq!(read_update_of(&written, shown), Ok((header, payload)));
        }
    }

    #[test]
    fn any_bytes_are_a_frame_or_an_error(bytes in vec(any::<u8>(), 0..60), kind in 0u8..5) {
        let message = [&[kind], &bytes[..]].concat();
        if let Ok(Some(frame)) = read_frame(&message) {
            let mut written = Vec::new();
            write_frame(&mut written, &frame);
            prop_assert_eq!(read_frame(&written), Ok(Some(frame)));
        }
    }

    #[test]
    fn control_messages_read_back_as_they_were_written(
        messages in vec(control(), 1..6), pieces in 1usize..300, more in vec(any::<u8>(), 0..9),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(Control::to_bytes).collect();
        prop_assert_eq!(read_all(&stream, pieces), Ok(messages.clone()));
        // A later minor version's fields follow the last known one.
        let bytes = messages[0].to_bytes();
        let mut reader = Reader::new(&bytes);
        let kind = reader.varint("a type").unwrap();
        let body = reader.bytes(usize::MAX, "a body").unwrap();
        let longer = [body, &more].concat();
        prop_assert_eq!(Control::read(kind, &longer), Ok(Some(messages[0].clone())));
    }

    #[test]
    fn input_events_read_back_as_they_were_written(
        first in 0..VARINT / 2, parts in vec(event_parts(), 1..20), pieces in 1usize..100,
    ) {
        let events: Vec<InputEvent> = parts.into_iter().map(event).collect();
        let mut stream = Vec::new();
        write_input_start(&mut stream, first);
        events.iter().for_each(|event| write_event(&mut stream, event));
        let numbered: Vec<(u64, InputEvent)> = (first..).zip(events).collect();
        prop_assert!(read_events(&stream, pieces) == Ok(numbered));
    }

    #[test]
    fn packets_of_sound_read_back_as_they_were_written(
        number in number(), time_us in number(), opus in vec(any::<u8>(), 0..=1_000),
    ) {
        let packet = SoundPacket { number, time_us, opus: opus.into() };
        let mut datagram = Vec::new();
        packet.write(&mut datagram);
        prop_assert_eq!(SoundPacket::read(&datagram), Ok(Some(packet)));
        prop_assert_eq!(Motion::read(&datagram), Ok(None));
    }

    #[test]
    fn update_headers_read_back_as_they_were_written(header in update(), payload in vec(any::<u8>(), 0..50)) {
        let mut stream = Vec::new();
        header.write(&mut stream);
        stream.extend_from_slice(&payload);
        let UpdateHeader { epoch, width, height, .. } = header;
        let shown = Some(Shown { epoch, width, height });
        prop_assert_eq!(read_update_of(&stream, shown), Ok((header, &payload[..])));
    }
}
