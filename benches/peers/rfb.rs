//! A headless RFB viewer: Tight, CopyRect and Raw into a framebuffer, with fences and continuous updates, which are
//! TigerVNC's best. It trusts the server, which the bench has started itself.

use crate::stage::Result;
use crate::tight::Tight;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

mod encoding {
    pub const RAW: i32 = 0;
    pub const COPY_RECT: i32 = 1;
    pub const TIGHT: i32 = 7;
    pub const LAST_RECT: i32 = -224;
    pub const CURSOR: i32 = -239;
    pub const FENCE: i32 = -312;
    pub const CONTINUOUS_UPDATES: i32 = -313;
    pub const LEAST_QUALITY: i32 = -32;
    pub const LEAST_COMPRESSION: i32 = -256;
}

/// What a viewer asks a server for.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// 0 to 9.
    pub compression: i32,
    /// JPEG, 0 to 9; without it everything is lossless.
    pub quality: Option<i32>,
}

pub struct Screen {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u32>,
}

impl Screen {
    pub fn row_mut(&mut self, x: usize, y: usize, width: usize) -> &mut [u32] {
        let start = y * self.width + x;
        &mut self.pixels[start..start + width]
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

pub struct Viewer {
    from: BufReader<TcpStream>,
    to: TcpStream,
    tight: Tight,
    continuous: bool,
    pub screen: Screen,
}

impl Viewer {
    pub fn connect(address: SocketAddr, wish: Wish) -> Result<Viewer> {
        let mut to = TcpStream::connect(address)?;
        to.set_nodelay(true)?;
        let mut from = BufReader::with_capacity(1 << 18, to.try_clone()?);
        let mut version = [0; 12];
        from.read_exact(&mut version)?;
        to.write_all(b"RFB 003.008\n")?;
        let mut kinds = vec![0; usize::from(byte(&mut from)?)];
        from.read_exact(&mut kinds)?;
        if !kinds.contains(&1) {
            return Err("the server wants more than security type None".into());
        }
        to.write_all(&[1])?;
        if word(&mut from)? != 0 {
            return Err("the server refused the viewer".into());
        }
        to.write_all(&[1])?;
        let (width, height) = (usize::from(half(&mut from)?), usize::from(half(&mut from)?));
        skip(&mut from, 16)?;
        let name = word(&mut from)?;
        skip(&mut from, name as usize)?;
        // 32 bits, depth 24, little-endian, true colour, 255 each, red at 16, green at 8, blue at 0.
        to.write_all(&[0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0])?;
        let mut encodings = vec![
            encoding::TIGHT,
            encoding::COPY_RECT,
            encoding::RAW,
            encoding::LAST_RECT,
            encoding::CURSOR,
            encoding::FENCE,
            encoding::CONTINUOUS_UPDATES,
            encoding::LEAST_COMPRESSION + wish.compression,
        ];
        encodings.extend(wish.quality.map(|quality| encoding::LEAST_QUALITY + quality));
        let mut message = vec![2, 0];
        message.extend((encodings.len() as u16).to_be_bytes());
        encodings.iter().for_each(|encoding| message.extend(encoding.to_be_bytes()));
        to.write_all(&message)?;
        let screen = Screen { width, height, pixels: vec![0; width * height] };
        let mut viewer = Viewer { from, to, tight: Tight::default(), continuous: false, screen };
        viewer.ask(false)?;
        Ok(viewer)
    }

    fn ask(&mut self, incremental: bool) -> Result<()> {
        let mut message = vec![3, u8::from(incremental), 0, 0, 0, 0];
        message.extend((self.screen.width as u16).to_be_bytes());
        message.extend((self.screen.height as u16).to_be_bytes());
        Ok(self.to.write_all(&message)?)
    }

    /// Reads messages until one has changed the screen.
    pub fn next_update(&mut self) -> Result<()> {
        loop {
            match byte(&mut self.from)? {
                0 => {
                    // Asked for now, the next update is under way while this one is decoded.
                    if !self.continuous {
                        self.ask(true)?;
                    }
                    return self.update();
                }
                1 => {
                    skip(&mut self.from, 3)?;
                    let count = half(&mut self.from)?;
                    skip(&mut self.from, usize::from(count) * 6)?;
                }
                2 => {}
                3 => {
                    skip(&mut self.from, 3)?;
                    let length = word(&mut self.from)?;
                    skip(&mut self.from, length as usize)?;
                }
                150 => self.start_continuous()?,
                248 => self.fence()?,
                other => return Err(format!("the server sent a message of type {other}").into()),
            }
        }
    }

    /// The server can send updates without being asked.
    fn start_continuous(&mut self) -> Result<()> {
        if !self.continuous {
            self.continuous = true;
            let mut message = vec![150, 1, 0, 0, 0, 0];
            message.extend((self.screen.width as u16).to_be_bytes());
            message.extend((self.screen.height as u16).to_be_bytes());
            self.to.write_all(&message)?;
        }
        Ok(())
    }

    fn fence(&mut self) -> Result<()> {
        skip(&mut self.from, 3)?;
        let flags = word(&mut self.from)?;
        let mut payload = vec![0; usize::from(byte(&mut self.from)?)];
        self.from.read_exact(&mut payload)?;
        const REQUEST: u32 = 1 << 31;
        if flags & REQUEST != 0 {
            let mut answer = vec![248, 0, 0, 0];
            // Everything is handled in order, so both kinds of blocking are kept.
            answer.extend((flags & 3).to_be_bytes());
            answer.push(payload.len() as u8);
            answer.extend(&payload);
            self.to.write_all(&answer)?;
        }
        Ok(())
    }

    fn update(&mut self) -> Result<()> {
        skip(&mut self.from, 1)?;
        let count = half(&mut self.from)?;
        for _ in 0..count {
            let mut field = || half(&mut self.from).map(usize::from);
            let place = Place { x: field()?, y: field()?, width: field()?, height: field()? };
            let kind = word(&mut self.from)? as i32;
            let cursor = kind == encoding::CURSOR || kind == encoding::LAST_RECT;
            if !cursor
                && (place.x + place.width > self.screen.width || place.y + place.height > self.screen.height)
            {
                return Err(format!("a rectangle outside the screen: {place:?}").into());
            }
            match kind {
                encoding::RAW => self.raw(place)?,
                encoding::COPY_RECT => self.copy_rect(place)?,
                encoding::TIGHT => self.tight.rect(&mut self.from, &mut self.screen, place)?,
                encoding::CURSOR => {
                    skip(
                        &mut self.from,
                        place.width * place.height * 4 + place.width.div_ceil(8) * place.height,
                    )?;
                }
                encoding::LAST_RECT => break,
                other => {
                    return Err(format!("the server sent encoding {other}, which was not asked for").into());
                }
            }
        }
        Ok(())
    }

    fn raw(&mut self, place: Place) -> Result<()> {
        let mut bytes = vec![0; place.width * 4];
        for row in 0..place.height {
            self.from.read_exact(&mut bytes)?;
            let pixels = self.screen.row_mut(place.x, place.y + row, place.width);
            let words = bytes.as_chunks::<4>().0;
            pixels
                .iter_mut()
                .zip(words)
                .for_each(|(pixel, word)| *pixel = u32::from_le_bytes(*word) & 0x00ff_ffff);
        }
        Ok(())
    }

    fn copy_rect(&mut self, place: Place) -> Result<()> {
        let (x, y) = (usize::from(half(&mut self.from)?), usize::from(half(&mut self.from)?));
        if x + place.width > self.screen.width || y + place.height > self.screen.height {
            return Err("a copy from outside the screen".into());
        }
        let width = self.screen.width;
        let mut copy_row = |row: usize| {
            let source = (y + row) * width + x;
            let target = (place.y + row) * width + place.x;
            self.screen.pixels.copy_within(source..source + place.width, target);
        };
        // Upwards or downwards, so that no row is read after it was written.
        match y < place.y {
            true => (0..place.height).rev().for_each(&mut copy_row),
            false => (0..place.height).for_each(&mut copy_row),
        }
        Ok(())
    }
}

pub fn byte(from: &mut impl Read) -> Result<u8> {
    let mut bytes = [0];
    from.read_exact(&mut bytes)?;
    Ok(bytes[0])
}

fn half(from: &mut impl Read) -> Result<u16> {
    let mut bytes = [0; 2];
    from.read_exact(&mut bytes)?;
    Ok(u16::from_be_bytes(bytes))
}

fn word(from: &mut impl Read) -> Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn skip(from: &mut impl Read, count: usize) -> Result<()> {
    let mut bytes = vec![0; count];
    Ok(from.read_exact(&mut bytes)?)
}
