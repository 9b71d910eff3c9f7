//! Arbitrary bytes as a control stream, in arbitrary pieces, and as a frame: what is read is written and read alike.
#![no_main]

use chevet::wire::{Control, ControlReader, read_frame, write_frame};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, u8, &[u8])| {
    let (kind, piece, bytes) = input;
    if let Ok(Some(message)) = Control::read(kind % 64, bytes) {
        let mut reader = ControlReader::new();
        reader.push(&message.to_bytes());
        assert_eq!(reader.next(), Ok(Some(message)));
    }
    let mut reader = ControlReader::new();
    for piece in bytes.chunks(usize::from(piece) + 1) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    if let Ok(Some(frame)) = read_frame(bytes) {
        let mut written = Vec::new();
        write_frame(&mut written, &frame);
        assert_eq!(read_frame(&written), Ok(Some(frame)));
    }
});
