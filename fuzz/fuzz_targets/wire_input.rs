//! Arbitrary bytes as an input stream and as a datagram; pieces make no difference.
#![no_main]

use chevet::wire::{InputEvent, InputReader, Motion, SoundPacket, write_event};
use libfuzzer_sys::fuzz_target;

fn read(bytes: &[u8], piece: usize) -> (Vec<(u64, InputEvent)>, bool) {
    let mut reader = InputReader::new();
    let mut events = Vec::new();
    for piece in bytes.chunks(piece) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(_) => return (events, true),
            }
        }
    }
    (events, false)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let whole = read(bytes, bytes.len().max(1));
    assert!(whole == read(bytes, usize::from(piece) + 1));
    for (_, event) in &whole.0 {
        let mut stream = vec![1, 0];
        write_event(&mut stream, event);
        assert!(read(&stream, stream.len()).0 == [(0, event.clone())]);
    }
    if let Ok(Some(motion)) = Motion::read(bytes) {
        let mut written = Vec::new();
        motion.write(&mut written);
        assert_eq!(Motion::read(&written), Ok(Some(motion)));
    }
    if let Ok(Some(packet)) = SoundPacket::read(bytes) {
        let mut written = Vec::new();
        packet.write(&mut written);
        assert_eq!(SoundPacket::read(&written), Ok(Some(packet)));
    }
});
