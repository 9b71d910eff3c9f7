//! A host's half, written from the specifications: what tests and fuzzers feed a decoder with. An honest host's
//! pixels must come out as they went in; a hostile one's words must harm nothing but their own connection.

use super::clipboard::{Clipboard, ClipboardEar, News};
use super::{Decoder, PipelineEar, paint};
use crate::screen::{Framebuffer, MAX_PIXELS, Rect};
use ironrdp_cliprdr::CliprdrClient;
use ironrdp_displaycontrol::client::DisplayControlClient;
use ironrdp_dvc::DrdynvcClient;
use ironrdp_egfx::client::GraphicsPipelineClient;
use ironrdp_pdu::Action;
use ironrdp_session::{ActiveStageBuilder, ActiveStageOutput};
use ironrdp_svc::StaticChannelSet;
use std::any::TypeId;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

const IO: u16 = 1_003;
const DYNAMIC: u16 = 1_004;
const CLIPBOARD: u16 = 1_005;
/// The dynamic channels that [`Host::open`] opens.
const PIPELINE: u8 = 1;
const DISPLAY: u8 = 2;
/// Bytes of a piece of a channel's message.
const PIECE: usize = 1_600;

/// One frame, as it comes off the line.
pub type Frame = (Action, Vec<u8>);

/// A TPKT, X.224 and MCS header before what a channel says (MS-RDPBCGR 2.2.8.1, T.125).
pub fn on_channel(channel: u16, data: &[u8]) -> Frame {
    let length = data.len() + 15;
    let mut frame = vec![3, 0, (length >> 8) as u8, length as u8, 2, 0xf0, 0x80, 0x68, 0, 6];
    frame.extend(channel.to_be_bytes());
    frame.extend([0x70, 0x80 | (data.len() >> 8) as u8, data.len() as u8]);
    frame.extend(data);
    (Action::X224, frame)
}

/// A static channel's message in pieces (2.2.6.1).
fn in_pieces(channel: u16, message: &[u8]) -> Vec<Frame> {
    let count = message.len().div_ceil(PIECE).max(1);
    let piece = |index: usize| {
        let flags = u32::from(index == 0) | u32::from(index + 1 == count) << 1;
        let mut data = (message.len() as u32).to_le_bytes().to_vec();
        data.extend(flags.to_le_bytes());
        data.extend(message.iter().skip(index * PIECE).take(PIECE));
        on_channel(channel, &data)
    };
    (0..count).map(piece).collect()
}

/// A dynamic channel's message (MS-RDPEDYC 2.2.3), whose length comes with its first piece.
fn dynamic(channel: u8, message: &[u8]) -> Vec<Frame> {
    let mut first = vec![0x28, channel];
    first.extend((message.len() as u32).to_le_bytes());
    let mut rest = message;
    let mut frames = Vec::new();
    if message.len() < 1_590 {
        first = vec![0x30, channel];
    }
    loop {
        let (piece, after) = rest.split_at(rest.len().min(1_590));
        first.extend(piece);
        frames.extend(in_pieces(DYNAMIC, &first));
        rest = after;
        if rest.is_empty() {
            return frames;
        }
        first = vec![0x30, channel];
    }
}

/// A fast-path packet of one update in one piece (2.2.9.1.2).
pub fn fast_path(code: u8, data: &[u8]) -> Frame {
    let length = data.len() + 6;
    let mut frame = vec![0, 0x80 | (length >> 8) as u8, length as u8, code];
    frame.extend((data.len() as u16).to_le_bytes());
    frame.extend(data);
    (Action::FastPath, frame)
}

/// Share data of a kind on the channel of input and output (2.2.8.1.1.1).
fn share_data(kind: u8, data: &[u8]) -> Frame {
    let mut pdu = ((data.len() + 18) as u16).to_le_bytes().to_vec();
    pdu.extend([0x17, 0, 0xea, 3, 0, 0, 1, 0, 0, 1]);
    pdu.extend(((data.len() + 4) as u16).to_le_bytes());
    pdu.extend([kind, 0, 0, 0]);
    pdu.extend(data);
    on_channel(IO, &pdu)
}

/// A command of the graphics pipeline (MS-RDPEGFX 2.2.1.5), in a segment that is not packed (2.2.5.1).
fn command(kind: u16, data: &[u8]) -> Vec<Frame> {
    let mut message = vec![0xe0, 4];
    message.extend(kind.to_le_bytes());
    message.extend([0, 0]);
    message.extend(((data.len() + 8) as u32).to_le_bytes());
    message.extend(data);
    dynamic(PIPELINE, &message)
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// How an honest host sends a rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A bitmap without compression, rows from the bottom up.
    Bitmap,
    /// Surface bits without a codec, rows from the bottom up.
    Surface,
    /// The graphics pipeline without a codec, rows from the top down.
    Pipeline,
}

/// The frames by which an honest host sends a rectangle of its screen.
pub fn rectangle(screen: &Framebuffer, rect: Rect, way: Way) -> Vec<Frame> {
    let side = |value: u32| value as u16;
    let (left, top, right, bottom) = (side(rect.x), side(rect.y), side(rect.right()), side(rect.bottom()));
    let row = |y| screen.row(rect.x, y, rect.width).iter().flat_map(|pixel| pixel.to_le_bytes());
    let upwards = || (rect.y..rect.bottom()).rev().flat_map(row);
    match way {
        Way::Bitmap => {
            let pixels: Vec<u8> = upwards().collect();
            let mut data =
                words(&[1, 1, left, top, right - 1, bottom - 1, side(rect.width), side(rect.height)]);
            data.extend(words(&[32, 0, pixels.len() as u16]));
            data.extend(pixels);
            vec![fast_path(1, &data)]
        }
        Way::Surface => {
            let pixels: Vec<u8> = upwards().collect();
            let mut data = words(&[1, left, top, right, bottom]);
            data.extend([32, 0, 0, 0]);
            data.extend(words(&[side(rect.width), side(rect.height)]));
            data.extend((pixels.len() as u32).to_le_bytes());
            data.extend(pixels);
            vec![fast_path(4, &data)]
        }
        Way::Pipeline => {
            let pixels: Vec<u8> = (rect.y..rect.bottom()).flat_map(row).collect();
            // Surface 1, no codec, pixels of 32 bits.
            let mut data = words(&[1, 0]);
            data.push(0x20);
            data.extend(words(&[left, top, right, bottom]));
            data.extend((pixels.len() as u32).to_le_bytes());
            data.extend(pixels);
            let mut frames = command(0x0b, &[0; 8]);
            frames.extend(command(0x01, &data));
            frames.extend(command(0x0c, &[0; 4]));
            frames
        }
    }
}

/// The frames that open the channels, and the pipeline with one surface of the screen's size, which is black.
fn opening(width: u32, height: u32) -> Vec<Frame> {
    let mut frames = in_pieces(DYNAMIC, &[0x50, 0, 1, 0]);
    for (channel, name) in [
        (PIPELINE, "Microsoft::Windows::RDS::Graphics"),
        (DISPLAY, "Microsoft::Windows::RDS::DisplayControl"),
    ] {
        let mut create = vec![0x10, channel];
        create.extend(name.as_bytes());
        create.push(0);
        frames.extend(in_pieces(DYNAMIC, &create));
    }
    // Version 8 is confirmed.
    frames.extend(command(0x13, &[4, 0, 8, 0, 4, 0, 0, 0, 2, 0, 0, 0]));
    let mut reset = Vec::new();
    reset.extend(width.to_le_bytes());
    reset.extend(height.to_le_bytes());
    reset.resize(332, 0);
    frames.extend(command(0x0e, &reset));
    let mut surface = words(&[1, width as u16, height as u16]);
    surface.push(0x20);
    frames.extend(command(0x09, &surface));
    frames.extend(command(0x0f, &words(&[1, 0, 0, 0, 0, 0])));
    // The display control channel takes sixteen monitors.
    let capabilities = [5u32, 20, 16, 8_192, 8_192];
    let capabilities: Vec<u8> = capabilities.iter().flat_map(|value| value.to_le_bytes()).collect();
    frames.extend(dynamic(DISPLAY, &capabilities));
    frames
}

/// What arbitrary bytes make a host say: each word is a kind, a length and so many bytes, put where a host could.
pub fn words_of(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((&[kind, what, low, high], rest)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([low, high]) % 4_096).min(rest.len());
        let (data, after) = rest.split_at(length);
        bytes = after;
        match kind % 12 {
            0 => frames.push((Action::FastPath, data.to_vec())),
            1 => frames.push((Action::X224, data.to_vec())),
            2 => frames.push(on_channel(IO, data)),
            3 => frames.push(share_data(what, data)),
            4 => frames.push(on_channel([DYNAMIC, CLIPBOARD][usize::from(what & 1)], data)),
            5 => {
                // Kind, flags and length of a clipboard's message (MS-RDPECLIP 2.2.1).
                let mut message = words(&[u16::from(what % 12), u16::from(what >> 6)]);
                message.extend((data.len() as u32).to_le_bytes());
                message.extend(data);
                frames.extend(in_pieces(CLIPBOARD, &message));
            }
            6 => frames.extend(in_pieces(DYNAMIC, data)),
            7 => frames.extend(dynamic(what & 3, data)),
            8 | 9 => frames.extend(command(u16::from(what % 0x1a), data)),
            10 => {
                // Pixels for the surface in each of the codecs.
                let codecs = [0u16, 3, 8, 10, 11, 12, 14, 15];
                let mut picture = words(&[1, codecs[usize::from(what & 7)]]);
                picture.push(0x20);
                picture.extend(words(&[0, 0, u16::from(what), u16::from(what >> 2)]));
                picture.extend((data.len() as u32).to_le_bytes());
                picture.extend(data);
                frames.extend(command(0x01, &picture));
            }
            _ => frames.push(fast_path(what, data)),
        }
    }
    frames
}

/// What a conversation came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Heard,
    /// A frame was refused, which ends the connection.
    Refused,
    /// One of IronRDP's crates panicked, which ends the connection, too.
    Panicked(String),
}

/// A decoder as a connection has it, and the screen that it paints.
pub struct Shown {
    decoder: Decoder,
    clipboard: Clipboard,
    pub screen: Framebuffer,
}

impl Shown {
    /// # Panics
    /// When the size is none that a screen has.
    pub fn new(width: u32, height: u32) -> Shown {
        let clipboard = Clipboard::default();
        let dynamic = DrdynvcClient::new()
            .with_dynamic_channel(DisplayControlClient::new(|_| Ok(Vec::new())))
            .with_dynamic_channel(GraphicsPipelineClient::new(Box::new(PipelineEar(Box::new(|_| {}))), None));
        let mut channels = StaticChannelSet::new();
        channels.insert(dynamic);
        channels.insert(CliprdrClient::new(Box::new(ClipboardEar::new(clipboard.clone()))));
        channels.attach_channel_id(TypeId::of::<DrdynvcClient>(), DYNAMIC);
        channels.attach_channel_id(TypeId::of::<CliprdrClient>(), CLIPBOARD);
        let builder = ActiveStageBuilder {
            static_channels: channels,
            user_channel_id: 1_007,
            io_channel_id: IO,
            message_channel_id: None,
            share_id: 0x0001_0000,
            compression_type: Some(ironrdp_pdu::rdp::client_info::CompressionType::K64),
            enable_server_pointer: true,
            pointer_software_rendering: false,
        };
        let screen = Framebuffer::new(width, height).expect("the oracle is asked for possible sizes");
        let decoder = Decoder::new(builder, (width as u16, height as u16));
        Shown { decoder: decoder.expect("the oracle is asked for possible sizes"), clipboard, screen }
    }

    /// Opens the channels.
    ///
    /// # Panics
    /// When an honest host's opening is not understood.
    pub fn open(&mut self) {
        for frame in opening(self.screen.width(), self.screen.height()) {
            assert_eq!(self.hear(&frame), Outcome::Heard, "an honest opening is understood");
        }
    }

    /// Takes one frame as a connection does.
    ///
    /// # Panics
    /// When something of chevet's own does, or when more is held than is allowed.
    pub fn hear(&mut self, (action, frame): &Frame) -> Outcome {
        watch_panics();
        let heard = catch_unwind(AssertUnwindSafe(|| self.take(*action, frame)));
        match heard {
            Ok(true) => Outcome::Heard,
            Ok(false) => Outcome::Refused,
            Err(panic) => match LAST_PANIC.with_borrow_mut(Option::take) {
                Some(place) if place.contains("ironrdp") => Outcome::Panicked(place),
                _ => std::panic::resume_unwind(panic),
            },
        }
    }

    fn take(&mut self, action: Action, frame: &[u8]) -> bool {
        let Ok((outputs, damage)) = self.decoder.feed(action, frame, None) else { return false };
        let (width, height) = self.decoder.size();
        assert!(paint::is_possible(width, height) && u32::from(width) * u32::from(height) <= MAX_PIXELS);
        if (self.screen.width(), self.screen.height()) != (width.into(), height.into()) {
            self.screen = Framebuffer::new(width.into(), height.into()).expect("the decoder looked at it");
        }
        let screen = &mut self.screen;
        self.decoder.paint(&damage, |x, y, row| {
            screen.row_mut(x, y, row.len() as u32).copy_from_slice(row);
            true
        });
        for output in outputs {
            if let ActiveStageOutput::PointerBitmap(pointer) = output
                && let Some(shape) = paint::cursor(&pointer)
            {
                assert_eq!(shape.pixels.len(), usize::from(shape.width) * usize::from(shape.height));
                assert!(shape.hot_x < shape.width && shape.hot_y < shape.height);
            }
        }
        while let Some(news) = self.clipboard.take_news() {
            match news {
                News::Copied(format) => {
                    self.clipboard.ask(format);
                    if let Some(channel) = self.decoder.stage.get_svc_processor_mut::<CliprdrClient>() {
                        let _ = channel.initiate_paste(format);
                    }
                }
                News::Given(Some(data)) => {
                    assert!(self.clipboard.take(&data).is_none_or(|clip| clip.fits()));
                }
                News::Ready | News::Wanted(_) | News::Given(None) => {}
            }
        }
        true
    }
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes where panics come from, and keeps those of IronRDP's from whoever else listens, such as a fuzzer that would
/// end.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map(|location| location.to_string()).unwrap_or_default();
            let theirs = place.contains("ironrdp");
            LAST_PANIC.with_borrow_mut(|last| *last = Some(place));
            if !theirs {
                before(info);
            }
        }));
    });
}
