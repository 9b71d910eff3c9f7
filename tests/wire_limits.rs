//! Every bound of `wire::limits` that a reader enforces: as much is taken, one more is refused.

use bytes::Bytes;
use chevet::screen::{HashKey, MAX_PIXELS, MAX_SIDE};
use chevet::sync::{Viewer, ViewerError};
use chevet::wire::limits::*;
use chevet::wire::{Control, ControlReader, InputReader, Motion, SoundPacket, UpdateHeader, WireError};
use chevet::wire::{read_frame, read_update};

/// RFC 9000's integer, always in eight bytes: the wire takes any length.
fn varint(value: u64) -> [u8; 8] {
    (value | 3 << 62).to_be_bytes()
}

fn varints(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|&value| varint(value)).collect()
}

fn sized(length: usize) -> Vec<u8> {
    [&varint(length as u64)[..], &vec![b'a'; length]].concat()
}

fn assert_too_much<T: std::fmt::Debug>(result: Result<T, WireError>) {
    assert!(matches!(result, Err(WireError::TooMuch { .. })), "{result:?}");
}

/// `read` takes a body made for `limit`, and refuses the one made for one more.
fn assert_limit<T: std::fmt::Debug>(
    limit: usize,
    make: impl Fn(usize) -> Vec<u8>,
    read: impl Fn(&[u8]) -> Result<T, WireError>,
) {
    let taken = read(&make(limit));
    assert!(taken.is_ok(), "{taken:?}");
    assert_too_much(read(&make(limit + 1)));
}

#[test]
fn a_name_is_at_most_256_bytes() {
    let hello = |length| [varints(&[1, 0]), vec![1], sized(length)].concat();
    assert_limit(MAX_NAME, hello, |body| Control::read(1, body));
    assert_limit(
        MAX_NAME,
        |length| [varints(&[1, 0]), sized(length)].concat(),
        |body| Control::read(2, body),
    );
    assert_limit(MAX_NAME, |length| attach(length, 0, None), |body| Control::read(3, body));
    let attached = |length| [vec![0; 24], varints(&[1, 1, 0]), sized(length)].concat();
    assert_limit(MAX_NAME, attached, |body| Control::read(4, body));
    let offer = |length| [sized(length), sized(0), sized(0)].concat();
    assert_limit(MAX_NAME, offer, |body| Control::read(20, body));
    let offer = |length| [sized(0), sized(length), sized(0)].concat();
    assert_limit(MAX_NAME, offer, |body| Control::read(20, body));
}

fn attach(name: usize, ticket: usize, hashes: Option<usize>) -> Vec<u8> {
    let mut body = [sized(name), sized(ticket), varints(&[0, 0, 0]), vec![0; 8], vec![0]].concat();
    body.push(hashes.is_some().into());
    if let Some(count) = hashes {
        body.extend([vec![0; 8], varints(&[1, 1, count as u64]), vec![0; count * 8]].concat());
    }
    body
}

#[test]
fn a_reason_is_at_most_1024_bytes() {
    let closing = |length| [varints(&[0]), sized(length)].concat();
    assert_limit(MAX_REASON, closing, |body| Control::read(19, body));
    assert_limit(MAX_REASON, |length| [vec![1], sized(length)].concat(), |body| Control::read(9, body));
    assert_limit(MAX_REASON, sized, |body| Control::read(25, body));
}

#[test]
fn a_ticket_or_secret_is_at_most_1024_bytes() {
    assert_limit(MAX_TICKET, |length| attach(0, length, None), |body| Control::read(3, body));
    let offer = |length| [sized(0), sized(0), sized(length)].concat();
    assert_limit(MAX_TICKET, offer, |body| Control::read(20, body));
}

#[test]
fn a_list_of_tiles_is_no_longer_than_the_largest_screen() {
    assert_limit(MAX_TILES, |count| attach(0, 0, Some(count)), |body| Control::read(3, body));
    let hashes = |count| [varints(&[1, count as u64]), vec![0; count * 8]].concat();
    assert_limit(MAX_TILES, hashes, |body| Control::read(14, body));
    let ack = |count| [varints(&[1, 0, count as u64]), vec![0; count]].concat();
    assert_limit(MAX_TILES, ack, |body| Control::read(5, body));
    assert_limit(MAX_TILES - 1, |tile| varints(&[1, 0, 1, tile as u64]), |body| Control::read(5, body));
}

#[test]
fn a_cursor_is_at_most_256_pixels_a_side() {
    let side = MAX_CURSOR_SIDE as usize;
    let wide = |width| [varints(&[width as u64, 1, 0, 0]), vec![0; width * 4]].concat();
    let high = |height| [varints(&[1, height as u64, 0, 0]), vec![0; height * 4]].concat();
    assert_limit(side, wide, |body| Control::read(7, body));
    assert_limit(side, high, |body| Control::read(7, body));
}

#[test]
fn a_control_message_is_at_most_one_mebibyte() {
    // Of an unknown type: only its length counts.
    let message = |length| [varints(&[99]), sized(length)].concat();
    let read = |bytes: &[u8]| {
        let mut reader = ControlReader::new();
        reader.push(bytes);
        reader.next()
    };
    assert_limit(MAX_CONTROL, message, read);
}

#[test]
fn an_input_event_is_at_most_4096_bytes() {
    let read = |bytes: &[u8]| {
        let mut reader = InputReader::new();
        reader.push(bytes);
        reader.next().map(|event| event.is_some())
    };
    let event = |kind| move |length| [varints(&[1, 0]), vec![kind], sized(length)].concat();
    assert_limit(MAX_TEXT, event(3), read);
    assert_limit(MAX_EVENT, event(99), read);
}

#[test]
fn a_datagram_is_at_most_1200_bytes() {
    let motion = |length| {
        let mut datagram = [vec![1], varints(&[1, 0, 5, 5])].concat();
        datagram.resize(length, 0);
        datagram
    };
    assert_limit(MAX_DATAGRAM, motion, Motion::read);
}

#[test]
fn a_picture_has_at_most_8_mebibytes_and_comes_in_parts_of_16_kibibytes() {
    let offer = |total| [varints(&[1, total as u64, 0]), sized(0)].concat();
    assert_limit(MAX_CLIP_PICTURE, offer, |body| Control::read(46, body));
    let part = |length| [varints(&[1, MAX_CLIP_PICTURE as u64, 0]), sized(length)].concat();
    assert_limit(MAX_PICTURE_PART, part, |body| Control::read(46, body));
    assert_limit(MAX_CLIP_PICTURE, |from| varints(&[1, from as u64]), |body| Control::read(47, body));
    for (total, from, length) in [(0, 0, 0), (100, 90, 11), (100, 101, 0)] {
        let beyond = [varints(&[1, total, from]), sized(length)].concat();
        assert!(
            matches!(Control::read(46, &beyond), Err(WireError::Meaningless { .. })),
            "{from} of {total}"
        );
    }
}

#[test]
fn a_websocket_message_is_at_most_64_kibibytes() {
    assert_limit(
        MAX_WEBSOCKET,
        |length| vec![0; length],
        |bytes| read_frame(bytes).map(|frame| frame.is_some()),
    );
}

fn update(width: u64, height: u64, copies: u64, cached: u64, runs: &[(u64, u64)]) -> Vec<u8> {
    let mut stream = [varints(&[2, 1, 0, 1, width, height, 0]), vec![0], varints(&[copies])].concat();
    (0..copies).for_each(|_| stream.extend(varints(&[0, 0, 1, 1, 0, 0])));
    stream.extend(varint(cached));
    (0..cached).for_each(|_| stream.extend([varints(&[0]), vec![0; 8]].concat()));
    stream.extend(varint(runs.len() as u64));
    runs.iter().for_each(|&(gap, length)| stream.extend(varints(&[gap, length])));
    stream
}

#[test]
fn a_screen_is_no_larger_than_8k() {
    let side = MAX_SIDE as usize;
    assert_limit(side, |width| update(width as u64, 1, 0, 0, &[]), |s| read_update(s).map(|_| ()));
    assert_limit(side, |height| update(1, height as u64, 0, 0, &[]), |s| read_update(s).map(|_| ()));
    let rows = MAX_PIXELS / MAX_SIDE;
    assert_limit(
        rows as usize,
        |height| update(MAX_SIDE.into(), height as u64, 0, 0, &[]),
        |s| read_update(s).map(|_| ()),
    );
}

#[test]
fn an_update_has_at_most_256_copies_and_names_each_tile_once() {
    let read = |stream: &[u8]| read_update(stream).map(|_| ());
    assert_limit(MAX_COPIES, |copies| update(64, 64, copies as u64, 0, &[]), read);
    assert_limit(4, |cached| update(128, 128, 0, cached as u64, &[]), read);
}

#[test]
fn the_copies_of_an_update_move_32_screens_at_most() {
    let read = |stream: &[u8]| read_update(stream).map(|_| ());
    let whole = |copies: usize| {
        let mut stream = [varints(&[2, 1, 0, 1, 300, 200, 0]), vec![0], varints(&[copies as u64])].concat();
        (0..copies).for_each(|_| stream.extend(varints(&[0, 0, 300, 200, 0, 0])));
        stream.extend(varints(&[0, 0]));
        stream
    };
    assert_limit(MAX_COPIED_SCREENS as usize, whole, read);
}

#[test]
fn an_update_has_at_most_4096_tiles_with_pixels() {
    let read = |stream: &[u8]| read_update(stream).map(|_| ());
    assert_limit(MAX_UPDATE_TILES, |tiles| update(7_680, 4_320, 0, 0, &[(0, tiles as u64)]), read);
    let halves = |tiles| update(7_680, 4_320, 0, 0, &[(0, 2_048), (7, tiles as u64 - 2_048)]);
    assert_limit(MAX_UPDATE_TILES, halves, read);
    assert_limit(MAX_UPDATE_TILES, |runs| update(16_384, 2_000, 0, 0, &vec![(0, 1); runs]), read);
    assert_limit(4, |tiles| update(128, 128, 0, 0, &[(0, tiles as u64)]), read);
}

#[test]
fn tiles_given_in_part_count_as_tiles_with_pixels() {
    let read = |stream: &[u8]| read_update(stream).map(|_| ());
    // 64 tiles in each row of parts, and the rest whole in the rows below.
    let mixed = |tiles: usize| {
        let whole = tiles as u64 - 64;
        let mut stream = update(4_096, 8_000, 0, 0, &[(64, whole)]);
        stream[56] = 32;
        stream.extend(varints(&[1, 0, 3, 4_096, 1]));
        stream
    };
    assert_limit(MAX_UPDATE_TILES, mixed, read);
    let two = |y: u64| {
        let mut stream = update(128, 128, 0, 0, &[]);
        stream[56] = 32;
        stream.extend(varints(&[2, 0, 0, 128, 10, 0, y, 10, 10]));
        stream
    };
    assert!(read(&two(64)).is_ok());
    assert!(matches!(read(&two(50)), Err(WireError::Meaningless { .. })), "a tile in two parts");
    assert!(matches!(read(&two(119)), Err(WireError::Meaningless { .. })), "a part outside the screen");
}

fn waiting(number: u64, payload: usize) -> Bytes {
    let header = UpdateHeader {
        number,
        after: 1,
        epoch: 1,
        width: 64,
        height: 64,
        tiles: vec![0],
        ..Default::default()
    };
    let mut stream = Vec::new();
    header.write(&mut stream);
    stream.resize(stream.len() + payload, 0);
    Bytes::from(stream)
}

#[test]
fn at_most_256_updates_wait_for_an_earlier_one() {
    let mut viewer = Viewer::new(HashKey(1), 0);
    for number in 2..MAX_WAITING as u64 + 2 {
        assert_eq!(viewer.take(waiting(number, 0)).unwrap(), []);
    }
    let one_more = viewer.take(waiting(MAX_WAITING as u64 + 2, 0));
    assert!(matches!(one_more, Err(ViewerError::TooManyWaiting { .. })));
}

#[test]
fn at_most_64_mebibytes_wait_for_an_earlier_update() {
    let mut viewer = Viewer::new(HashKey(1), 0);
    assert_eq!(viewer.take(waiting(2, MAX_WAITING_BYTES)).unwrap(), []);
    assert!(matches!(viewer.take(waiting(3, 1)), Err(ViewerError::TooManyWaiting { .. })));
}

#[test]
fn updates_that_were_dropped_beyond_a_gap_are_not_remembered_without_bound() {
    let mut viewer = Viewer::new(HashKey(1), 0);
    let refused = (2..100_000).find(|&number| viewer.dropped(number).is_err());
    assert_eq!(refused, Some(4 * MAX_WAITING as u64 + 2));
}

#[test]
fn what_hosts_and_gateways_list_is_bounded() {
    let offers = |key, applications: usize, name, running: usize| {
        let head = [sized(1), sized(key), sized(0), varints(&[1, applications as u64])].concat();
        let applications = sized(name).repeat(applications);
        let session = [sized(1), sized(1), sized(1), sized(32)].concat();
        [head, applications, varints(&[running as u64]), session.repeat(running)].concat()
    };
    let read = |body: &[u8]| Control::read(36, body);
    assert_limit(MAX_HOST_KEY, |length| offers(length, 0, 0, 0), read);
    assert_limit(MAX_APPLICATIONS, |count| offers(0, count, 1, 0), read);
    assert_limit(MAX_NAME, |length| offers(0, 1, length, 0), read);
    assert_limit(MAX_RUNNING, |count| offers(0, 0, 0, count), read);
    assert_limit(1_000, |share| [varints(&[0, share as u64, 0]), vec![0]].concat(), |b| Control::read(37, b));

    let start = |arguments: usize, length, variables: usize, value| {
        let head = [varints(&[1]), sized(1).repeat(5), sized(32), varints(&[1, 1])].concat();
        let command = [varints(&[arguments as u64]), sized(length).repeat(arguments)].concat();
        let pair = [sized(1), sized(value)].concat();
        let variables = [varints(&[variables as u64]), pair.repeat(variables)].concat();
        [head, command, variables, varints(&[0, 0, 0, 0, 0])].concat()
    };
    let read = |body: &[u8]| Control::read(38, body);
    assert_limit(MAX_ARGUMENTS, |count| start(count, 1, 0, 0), read);
    assert_limit(MAX_ARGUMENT, |length| start(1, length, 0, 0), read);
    assert_limit(MAX_ARGUMENTS, |count| start(1, 1, count, 1), read);
    assert_limit(MAX_ARGUMENT, |length| start(1, 1, 1, length), read);
    assert_limit(MAX_REASON, |length| [varints(&[1]), sized(length)].concat(), |b| Control::read(39, b));
    let ended = |length| [sized(1), varints(&[1]), sized(length)].concat();
    assert_limit(MAX_REASON, ended, |body| Control::read(41, body));
    let unknown = Control::read(40, &[sized(1), varints(&[99])].concat());
    assert!(matches!(unknown, Err(WireError::Meaningless { .. })), "{unknown:?}");
}

#[test]
fn a_packet_of_sound_is_at_most_1000_bytes_and_a_format_is_one_that_can_be_played() {
    let packet = |length| [vec![SoundPacket::KIND], varints(&[1, 2]), vec![0; length]].concat();
    assert!(packet(MAX_SOUND).len() <= MAX_DATAGRAM);
    assert_limit(MAX_SOUND, packet, SoundPacket::read);
    let format = |rate: usize, channels, frame: usize| {
        [varints(&[1, rate as u64]), vec![channels], varints(&[frame as u64])].concat()
    };
    assert_limit(192_000, |rate| format(rate, 2, 960), |body| Control::read(44, body));
    assert_limit(11_520, |frame| format(48_000, 2, frame), |body| Control::read(44, body));
    for channels in [0, 9] {
        let read = Control::read(44, &format(48_000, channels, 960));
        assert!(matches!(read, Err(WireError::Meaningless { .. })), "{read:?}");
    }
    // A coding of a later version is one that cannot be played.
    assert_eq!(Control::read(44, &varints(&[2, 1])), Ok(Some(Control::Sound(None))));
}
