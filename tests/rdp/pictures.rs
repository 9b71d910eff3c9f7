//! Pictures between a host's clipboard and a viewer's: xrdp's channel server carries them as bitmaps (CF_DIB), programs of
//! the host have them as image/bmp.

use crate::peers::{Channels, XorgSession, Xrdp, paste};
use crate::{Shown, eventually, show, xrdp_settings};
use chevet::source::{Source, SourceEvent};
use chevet::wire::Clip;
use std::io::Cursor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, CreateWindowAux, EventMask, PropMode, Property,
    SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// Rows from the top, of red, green and blue; no row, column or colour is like another.
struct Picture {
    width: usize,
    rgb: Vec<u8>,
}

impl Picture {
    fn of(width: usize, height: usize, seed: usize) -> Picture {
        let pixel = |at: usize| [at * 7 + seed, at / width * 5, (at % width) * 3 + seed];
        Picture { width, rgb: (0..width * height).flat_map(pixel).map(|part| part as u8).collect() }
    }

    fn rows(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.rgb.chunks_exact(self.width * 3)
    }

    /// A file of Windows' bitmaps, of 24 or 32 bits a pixel.
    fn bmp(&self, bits: u16) -> Vec<u8> {
        let mut pixels = Vec::new();
        for row in self.rows().rev() {
            for pixel in row.chunks_exact(3) {
                pixels.extend([pixel[2], pixel[1], pixel[0]]);
                pixels.extend(&[0][..usize::from(bits == 32)]);
            }
            pixels.resize(pixels.len().next_multiple_of(4), 0);
        }
        let mut file = b"BM".to_vec();
        file.extend((54 + pixels.len() as u32).to_le_bytes());
        file.extend([0; 4]);
        file.extend(54u32.to_le_bytes());
        file.extend(40u32.to_le_bytes());
        file.extend((self.width as u32).to_le_bytes());
        file.extend((self.rows().len() as u32).to_le_bytes());
        file.extend([1, 0]);
        file.extend(bits.to_le_bytes());
        file.extend([0; 24]);
        file.extend(pixels);
        file
    }

    fn png(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.rows().len() as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header().unwrap().write_image_data(&self.rgb).unwrap();
        file
    }

    fn is_in_png(&self, file: &[u8]) -> bool {
        let mut reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        (info.width as usize, info.color_type) == (self.width, png::ColorType::Rgb) && rgb == self.rgb
    }
}

x11rb::atom_manager! {
    Atoms: AtomsCookie { CLIPBOARD, TARGETS, INCR, BMP: b"image/bmp", }
}

/// What goes to whoever pastes at once; more goes in parts. xclip says of no picture how large it is, and xrdp's channel
/// server then takes none of it.
const AT_ONCE: usize = 64 << 10;

/// Owns a display's clipboard with a picture until the connection is told to close.
fn own(client: &RustConnection, window: u32, atoms: &Atoms, bmp: &[u8], goes_on: &AtomicBool) {
    client.set_selection_owner(window, atoms.CLIPBOARD, x11rb::CURRENT_TIME).unwrap();
    client.flush().unwrap();
    let mut rest: &[u8] = &[];
    let mut taker = (0, 0);
    while goes_on.load(Ordering::Relaxed) {
        match client.poll_for_event().unwrap() {
            Some(Event::SelectionRequest(asked)) => {
                let (window, property) = (asked.requestor, asked.property);
                if asked.target == atoms.TARGETS {
                    let kinds = [atoms.TARGETS, atoms.BMP];
                    client.change_property32(PropMode::REPLACE, window, property, AtomEnum::ATOM, &kinds)
                } else if bmp.len() > AT_ONCE {
                    let notify = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
                    client.change_window_attributes(window, &notify).unwrap();
                    (taker, rest) = ((window, property), bmp);
                    let size = [bmp.len() as u32];
                    client.change_property32(PropMode::REPLACE, window, property, atoms.INCR, &size)
                } else {
                    client.change_property8(PropMode::REPLACE, window, property, atoms.BMP, bmp)
                }
                .unwrap();
                let answer = SelectionNotifyEvent {
                    response_type: SELECTION_NOTIFY_EVENT,
                    sequence: 0,
                    time: asked.time,
                    requestor: window,
                    selection: asked.selection,
                    target: asked.target,
                    property,
                };
                client.send_event(false, window, EventMask::NO_EVENT, answer).unwrap();
            }
            Some(Event::PropertyNotify(it))
                if it.state == Property::DELETE && (it.window, it.atom) == taker =>
            {
                let (part, later) = rest.split_at(rest.len().min(AT_ONCE));
                client.change_property8(PropMode::REPLACE, it.window, it.atom, atoms.BMP, part).unwrap();
                // The empty one says that it was the last.
                taker = if part.is_empty() { (0, 0) } else { taker };
                rest = later;
            }
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(2)),
        }
        client.flush().unwrap();
    }
}

/// A picture is copied at the host until the viewer is told of it: a host does not look at its clipboard from the beginning.
fn copied_there(shown: &mut Shown, display: &str, bmp: &[u8]) -> Clip {
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        let goes_on = AtomicBool::new(true);
        let told = std::thread::scope(|scope| {
            let (client, number) = RustConnection::connect(Some(display)).unwrap();
            let (window, root) = (client.generate_id().unwrap(), client.setup().roots[number].root);
            let kind = WindowClass::INPUT_ONLY;
            let nothing = CreateWindowAux::new();
            client.create_window(0, window, root, 0, 0, 1, 1, 0, kind, 0, &nothing).unwrap();
            let atoms = Atoms::new(&client).unwrap().reply().unwrap();
            let goes_on = &goes_on;
            scope.spawn(move || own(&client, window, &atoms, bmp, goes_on));
            let soon = Instant::now() + Duration::from_secs(3);
            let mut told = None;
            while told.is_none() && Instant::now() < soon {
                match shown.events.try_recv() {
                    Ok(SourceEvent::Clip(clip)) => told = Some(clip),
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
            goes_on.store(false, Ordering::Relaxed);
            told
        });
        if let Some(clip) = told {
            return clip;
        }
    }
    panic!("the picture that was copied there never came");
}

fn session() -> (XorgSession, Channels, Xrdp, Shown) {
    let session = XorgSession::start(640, 480);
    let channels = Channels::start(&session.display);
    let xrdp = Xrdp::start_before_xorg_and(&session, &channels);
    let mut shown = show(xrdp_settings(xrdp.port), "any", (640, 480));
    shown.wait_live();
    eventually("the clipboard's channel is up", || shown.source.report().clipboard);
    (session, channels, xrdp, shown)
}

#[test]
fn a_picture_that_a_program_of_an_xrdp_session_copies_comes_to_the_pixel() {
    let (session, _channels, _xrdp, mut shown) = session();
    // The last one is copied in pieces, on X11 and in the channel alike.
    for (width, height, bits) in [(61, 37, 24), (62, 5, 32), (700, 500, 24)] {
        let picture = Picture::of(width, height, width);
        let clip = copied_there(&mut shown, &session.display, &picture.bmp(bits));
        let Clip::Picture(png) = clip else { panic!("{clip:?} is no picture") };
        assert!(picture.is_in_png(&png), "{width}x{height} of {bits} bits");
    }
}

#[test]
fn a_picture_that_a_viewer_copies_is_pasted_to_the_pixel_in_an_xrdp_session() {
    let (session, _channels, _xrdp, shown) = session();
    for (width, height) in [(61, 37), (700, 500)] {
        let picture = Picture::of(width, height, height);
        let mut pasted = Vec::new();
        eventually("the viewer's picture is pasted", || {
            shown.source.clip(Clip::Picture(picture.png().into()));
            std::thread::sleep(Duration::from_millis(300));
            pasted = paste(&session.display, "image/bmp");
            // Its first bytes are the channel server's own; they say the size of no picture. A few may follow.
            let (there, here) = (pasted.get(14..).unwrap_or_default(), &picture.bmp(24)[14..]);
            pasted.starts_with(b"BM") && there.starts_with(here) && there.len() <= here.len() + 14
        });
    }
}
