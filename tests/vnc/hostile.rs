//! Servers of our own: those that mean harm, whose session alone fails and says why, and one that knows little.

use crate::server::eventually;
use crate::{plain, show_early};
use chevet::source::{Source, SourceEvent};
use chevet::wire::Clip;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// Listens as a server of 100 by 100 pixels that lets everybody in and then says this, again and again.
fn evil(says: Vec<u8>) -> String {
    serve(says, Arc::default())
}

/// The same, and what the other side says after the handshake.
fn serve(says: Vec<u8>, heard: Arc<Mutex<Vec<u8>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut meet = || -> std::io::Result<()> {
                let mut greeting = [0; 12];
                stream.write_all(b"RFB 003.008\n")?;
                stream.read_exact(&mut greeting)?;
                stream.write_all(&[1, 1])?;
                stream.read_exact(&mut greeting[..1])?;
                stream.write_all(&[0; 4])?;
                stream.read_exact(&mut greeting[..1])?;
                stream.write_all(&[0, 100, 0, 100])?;
                stream.write_all(&[0; 16])?;
                stream.write_all(&[0, 0, 0, 4])?;
                stream.write_all(b"evil")?;
                stream.write_all(&says)?;
                // What the other side says is read, so that nothing is cut off by a reset.
                let mut buffer = [0; 4_096];
                loop {
                    let count = stream.read(&mut buffer)?;
                    if count == 0 {
                        return Ok(());
                    }
                    heard.lock().unwrap().extend(&buffer[..count]);
                }
            };
            let _ = meet();
        }
    });
    address
}

/// An update of one rectangle.
fn update(place: [u16; 4], encoding: i32, data: &[u8]) -> Vec<u8> {
    let mut message = vec![0, 0, 0, 1];
    place.iter().for_each(|value| message.extend_from_slice(&value.to_be_bytes()));
    message.extend_from_slice(&encoding.to_be_bytes());
    message.extend_from_slice(data);
    message
}

/// 64 MiB of nothing, compressed, with its length before it.
fn bomb(prefix: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let compressed = encoder.finish().unwrap();
    [prefix(compressed.len()), compressed].concat()
}

#[test]
fn a_server_that_means_harm_is_left_with_a_reason() {
    let compact = |n: usize| vec![0, (n & 0x7f | 0x80) as u8, (n >> 7 & 0x7f | 0x80) as u8, (n >> 14) as u8];
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("raw beyond the screen", update([90, 0, 20, 20], 0, &[]), "beyond the screen"),
        ("a copy from beyond the screen", update([0, 0, 50, 50], 1, &[0, 60, 0, 0]), "beyond the screen"),
        ("an impossible size", update([0, 0, 65_535, 65_535], -223, &[]), "65535x65535"),
        ("no size at all", update([0, 0, 0, 0], -223, &[]), "0x0"),
        ("a huge cursor", update([0, 0, 60_000, 60_000], -239, &[]), "a cursor's side"),
        ("an encoding that nobody asked for", update([0, 0, 1, 1], 21, &[]), "encoding 21"),
        ("a message that there is not", vec![77], "type 77"),
        (
            "a ZRLE bomb",
            update([0, 0, 64, 64], 16, &bomb(|n| (n as u32).to_be_bytes().to_vec())),
            "more than",
        ),
        ("a Tight bomb", update([0, 0, 64, 64], 7, &bomb(compact)), "more than"),
        ("zlib that is none", update([0, 0, 64, 64], 16, &[0, 0, 0, 4, 1, 2, 3, 4]), "damaged"),
        ("a fence that is too long", vec![248, 0, 0, 0, 0, 0, 0, 0, 200], "a fence's payload"),
        ("a name that is too long", update([0, 0, 0, 0], -307, &[0xff; 4]), "the desktop's name"),
    ];
    for (what, says, reason) in cases {
        let said = show_early(plain(evil(says))).wait_waiting();
        assert!(said.contains(reason), "{what}: {said}");
    }
}

#[test]
fn what_is_no_vnc_server_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n"));
        }
    });
    let said = show_early(plain(address)).wait_waiting();
    assert!(said.contains("not a VNC server") && said.contains("SSH-2.0"), "{said}");
}

#[test]
fn a_clipboard_of_two_gigabytes_is_passed_over_and_the_screen_goes_on() {
    // Its first bytes; that it does not come whole is no fault of what was before.
    let mut says = update([0, 0, 1, 1], 0, &[1, 2, 3, 0]);
    says.extend([3, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]);
    says.extend([b'a'; 100_000]);
    let mut shown = show_early(plain(evil(says)));
    shown.wait_live();
    assert_eq!(shown.canvas.lock().framebuffer.row(0, 0, 1), [0x0003_0201]);
}

#[test]
fn a_server_without_the_extended_clipboard_takes_and_gives_latin_1() {
    let mut says = update([0, 0, 1, 1], 0, &[1, 2, 3, 0]);
    says.extend(b"\x03\0\0\0\0\0\0\x05Gr\xf6\xdfe");
    let heard = Arc::<Mutex<Vec<u8>>>::default();
    let mut shown = show_early(plain(serve(says, heard.clone())));
    let clip = shown.event("what the server copied", |event| match event {
        SourceEvent::Clip(clip) => Some(clip.clone()),
        _ => None,
    });
    assert!(clip == Clip::Text("Größe".into()));
    shown.source.clip(Clip::Text("Zoë №".into()));
    eventually("the server is told what the viewer copied", || {
        heard.lock().unwrap().ends_with(b"\x06\0\0\0\0\0\0\x05Zo\xeb ?")
    });
}
