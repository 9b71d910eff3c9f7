//! Recordings: arbitrary bytes, and real ones with a few bytes changed or cut off, to the reader and its player. They answer
//! with an error or a screen; what was changed nowhere plays; seeking shows what playing shows.
#![no_main]

use chevet::codec::Encoder;
use chevet::codec::oracle::screen_from_bytes;
use chevet::recording::{Header, Message, Person, Replay, Writer};
use chevet::screen::{HashKey, TileId};
use chevet::wire::{Attached, Control, Policy, Token, UpdateHeader};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

fuzz_target!(|input: (&[u8], &[u8], Vec<(u16, u8)>, u16, u32)| {
    let (raw, pixels, edits, cut, time) = input;
    play(raw, time);
    let whole = real(pixels);
    let mut changed = whole.clone();
    for (at, value) in edits.into_iter().take(16) {
        let at = usize::from(at) % changed.len();
        changed[at] = value;
    }
    play(&changed, time);
    let cut = whole.len().saturating_sub(usize::from(cut));
    play(&whole[..cut], time);
    let mut sought = Replay::open(Cursor::new(&whole[..])).expect("a real recording opens");
    let mut played = Replay::open(Cursor::new(&whole[..])).expect("a real recording opens");
    let time = u64::from(time) % 4_000_000 + 1_000;
    sought.seek(time).expect("a real recording plays");
    played.seek(1_000).expect("a real recording plays");
    played.seek(time).expect("a real recording plays");
    let pixels = |replay: &Replay<_>| replay.player().screen().map(|screen| screen.pixels().to_vec());
    assert_eq!(pixels(&sought), pixels(&played));
});

fn play(bytes: &[u8], time: u32) {
    let Ok(mut replay) = Replay::open(Cursor::new(bytes)) else { return };
    let _ = replay.seek(time.into());
    let _ = replay.seek(0);
    let _ = replay.seek(u64::MAX);
    let _ = replay.check();
}

fn real(pixels: &[u8]) -> Vec<u8> {
    let (mut writer, mut out) = (Writer::default(), Vec::new());
    writer.begin(&Header { began_unix_ms: 1, ..Header::default() }, &mut out);
    for key in 0..3_u64 {
        let attached = Control::Attached(Attached {
            token: Token([0; 16]),
            key: HashKey(1),
            width: 150,
            height: 130,
            next_input: 0,
            title: "desk".into(),
            policy: Policy::default(),
        });
        let from = pixels.get(key as usize * 7..).unwrap_or_default();
        let messages = [Message::Control(attached), Message::Update(update(from, 1))];
        writer.key(key * 1_000_000 + 1_000, &messages, &mut out);
        for number in 2..4 {
            let from = pixels.get(number as usize * 3..).unwrap_or_default();
            writer.message(key * 1_000_000 + number * 100_000, &Message::Update(update(from, number)), &mut out);
        }
        writer.person(key * 1_000_000 + 500_000, &Person { came: key == 0, ..Person::default() }, &mut out);
    }
    writer.end(&mut out);
    out
}

fn update(pixels: &[u8], number: u64) -> Vec<u8> {
    let screen = screen_from_bytes(150, 130, pixels);
    let tiles: Vec<TileId> = (0..screen.grid().len() as TileId).collect();
    let header = UpdateHeader {
        number,
        epoch: 1,
        width: 150,
        height: 130,
        complete: true,
        tiles: tiles.clone(),
        ..UpdateHeader::default()
    };
    let mut stream = Vec::new();
    header.write(&mut stream);
    Encoder::new().encode(&screen, &tiles, &mut stream);
    stream
}
