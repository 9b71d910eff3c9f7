//! Arbitrary bytes in a tunnel between gateway and edge: on its control stream in arbitrary pieces, as heads, and as clients' packets.
#![no_main]

use bytes::BytesMut;
use chevet::wire::{TunnelMessage, outside, put_head, read_head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let mut arrived = BytesMut::new();
    'stream: for piece in bytes.chunks(usize::from(piece) + 1) {
        arrived.extend_from_slice(piece);
        loop {
            match TunnelMessage::take(&mut arrived) {
                Ok(Some(Some(message))) => {
                    let mut again = BytesMut::from(&message.to_bytes()[..]);
                    assert_eq!(TunnelMessage::take(&mut again), Ok(Some(Some(message))));
                }
                Ok(Some(None)) => {}
                Ok(None) => break,
                Err(_) => break 'stream,
            }
        }
        assert!(arrived.len() <= 2_048, "an unfinished message is bounded");
    }
    if let Ok((client, length)) = read_head(bytes) {
        let mut written = Vec::new();
        put_head(&mut written, client);
        assert_eq!(read_head(&written), Ok((client, written.len())));
        assert!(written.len() <= length);
    }
    let _ = outside(bytes);
});
