//! Pictures as Windows' clipboard holds them (device independent bitmaps), and as PNG.

use std::io::Cursor;

const HEADER: usize = 40;
const BI_RGB: u32 = 0;
const BI_BITFIELDS: u32 = 3;
/// Pixels of one picture.
const MOST_PIXELS: u64 = 16 << 20;

/// A bitmap of 24 or 32 bits a pixel as PNG; other kinds are not read.
pub fn png_of_dib(dib: &[u8]) -> Option<Vec<u8>> {
    let word = |at: usize| Some(u32::from_le_bytes(*dib.get(at..)?.first_chunk()?));
    let half = |at: usize| Some(u16::from_le_bytes(*dib.get(at..)?.first_chunk()?));
    let header = word(0)? as usize;
    let (width, height) = (word(4)? as i32, word(8)? as i32);
    let (bits, compression) = (half(14)?, word(16)?);
    let (colours, rows) = (word(32)?, height.unsigned_abs() as usize);
    let columns = usize::try_from(width).ok().filter(|&columns| columns > 0)?;
    let possible = (columns as u64) * (rows as u64);
    if !(HEADER..=124).contains(&header) || rows == 0 || possible > MOST_PIXELS || colours > 256 {
        return None;
    }
    let masks = match (bits, compression) {
        (24 | 32, BI_RGB) => 0,
        // A plain header is followed by three masks; the larger ones hold them.
        (32, BI_BITFIELDS) => {
            let usual = [0x00ff_0000, 0x0000_ff00, 0x0000_00ff];
            let given = [word(40)?, word(44)?, word(48)?];
            if given != usual {
                return None;
            }
            if header == HEADER { 12 } else { 0 }
        }
        _ => return None,
    };
    let size = usize::from(bits) / 8;
    let stride = (columns * size).next_multiple_of(4);
    let pixels = dib.get(header + masks + colours as usize * 4..)?;
    let mut rgb = Vec::with_capacity(columns * rows * 3);
    for row in 0..rows {
        let from = if height > 0 { rows - 1 - row } else { row };
        let line = pixels.get(from * stride..)?.get(..columns * size)?;
        line.chunks_exact(size).for_each(|pixel| rgb.extend([pixel[2], pixel[1], pixel[0]]));
    }
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, columns as u32, rows as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().ok()?.write_image_data(&rgb).ok()?;
    Some(png)
}

/// A PNG as a bitmap of 24 bits a pixel, on white where it is transparent.
pub fn dib_of_png(png: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = png::Decoder::new(Cursor::new(png));
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().ok()?;
    let (width, height) = (reader.info().width, reader.info().height);
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return None;
    }
    let mut data = vec![0; reader.output_buffer_size()?];
    let info = reader.next_frame(&mut data).ok()?;
    let samples = info.color_type.samples();
    let stride = (width as usize * 3).next_multiple_of(4);
    let mut dib = Vec::with_capacity(HEADER + stride * height as usize);
    dib.extend((HEADER as u32).to_le_bytes());
    dib.extend(width.to_le_bytes());
    dib.extend(height.to_le_bytes());
    dib.extend([1, 0, 24, 0]);
    dib.extend([0; 24]);
    for row in (0..height as usize).rev() {
        let line = data.get(row * info.line_size..)?.get(..width as usize * samples)?;
        for pixel in line.chunks_exact(samples) {
            let [red, green, blue, alpha] = match *pixel {
                [grey, alpha] => [grey, grey, grey, alpha],
                [red, green, blue, alpha] => [red, green, blue, alpha],
                _ => return None,
            };
            let on_white = |part: u8| {
                let (part, alpha) = (u32::from(part), u32::from(alpha));
                ((part * alpha + 255 * (255 - alpha) + 127) / 255) as u8
            };
            dib.extend([blue, green, red].map(on_white));
        }
        dib.resize(dib.len().next_multiple_of(4), 0);
    }
    Some(dib)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn png(width: u32, height: u32, colour: png::ColorType, data: &[u8]) -> Vec<u8> {
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(&mut png, width, height);
        encoder.set_color(colour);
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        png
    }

    fn pixels(png: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(Cursor::new(png)).read_info().unwrap();
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut data).unwrap();
        (info.width, info.height, data)
    }

    #[test]
    fn a_picture_comes_back_from_a_bitmap_as_it_went_in() {
        let data: Vec<u8> = (0..3 * 5 * 2).collect();
        let dib = dib_of_png(&png(5, 2, png::ColorType::Rgb, &data)).unwrap();
        assert_eq!(dib.len(), 40 + 16 * 2);
        assert_eq!(pixels(&png_of_dib(&dib).unwrap()), (5, 2, data));
    }

    #[test]
    fn what_is_transparent_stands_on_white() {
        let dib = dib_of_png(&png(2, 1, png::ColorType::Rgba, &[1, 2, 3, 0, 1, 2, 3, 255])).unwrap();
        assert_eq!(&dib[40..46], [255, 255, 255, 3, 2, 1]);
    }

    #[test]
    fn a_picture_of_more_pixels_than_one_may_have_is_not_unpacked() {
        // What it says is enough: its pixels are not there.
        let mut large = png(5, 2, png::ColorType::Rgb, &[7; 30]);
        let header =
            [&b"IHDR"[..], &4_097u32.to_be_bytes(), &4_096u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
        large[12..29].copy_from_slice(&header);
        let crc = header.iter().fold(u32::MAX, |crc, byte| {
            (0..8)
                .fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
        });
        large[29..33].copy_from_slice(&(!crc).to_be_bytes());
        let read = png::Decoder::new(Cursor::new(&large)).read_info();
        assert_eq!(read.unwrap().info().size(), (4_097, 4_096), "nothing but its size is wrong");
        assert_eq!(dib_of_png(&large), None);
    }

    proptest! {
        #[test]
        fn any_picture_goes_to_the_host_and_back(width in 1u32..40, height in 1u32..30, seed: u8) {
            let data: Vec<u8> = (0..width * height * 3).map(|at| (at as u8).wrapping_mul(seed)).collect();
            let dib = dib_of_png(&png(width, height, png::ColorType::Rgb, &data)).unwrap();
            prop_assert_eq!(pixels(&png_of_dib(&dib).unwrap()), (width, height, data));
        }

        #[test]
        fn a_bitmap_of_any_header_is_read_whole_or_not_at_all(
            header in 0usize..130, width in -3i32..20, height in -20i32..20, bits in 0u16..40, compression in 0u32..5,
            colours in 0u32..300, rest in proptest::collection::vec(any::<u8>(), 0..1_500),
        ) {
            let mut dib = Vec::new();
            dib.extend((header as u32).to_le_bytes());
            dib.extend(width.to_le_bytes());
            dib.extend(height.to_le_bytes());
            dib.extend([1, 0]);
            dib.extend(bits.to_le_bytes());
            dib.extend(compression.to_le_bytes());
            dib.extend([0; 12]);
            dib.extend(colours.to_le_bytes());
            dib.extend(rest);
            if let Some(png) = png_of_dib(&dib) {
                let (columns, rows, _) = pixels(&png);
                prop_assert_eq!((columns, rows), (width as u32, height.unsigned_abs()));
            }
        }

        #[test]
        fn whatever_is_said_to_be_a_picture_costs_no_more_than_its_pixels(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..200, value: u8,
        ) {
            prop_assert_eq!(dib_of_png(&bytes), None);
            png_of_dib(&bytes);
            let data: Vec<u8> = (0..30 * 20 * 3).map(|at| at as u8).collect();
            let mut broken = png(30, 20, png::ColorType::Rgb, &data);
            if let Some(byte) = broken.get_mut(at) {
                *byte = value;
            }
            if let Some(dib) = dib_of_png(&broken) {
                prop_assert!(dib.len() as u64 <= 40 + 4 * MOST_PIXELS);
            }
        }
    }

    #[test]
    fn a_bitmap_that_lies_about_itself_is_not_read() {
        let whole = dib_of_png(&png(5, 2, png::ColorType::Rgb, &[7; 30])).unwrap();
        // The padding of the last row may lack.
        for length in 0..whole.len() - 1 {
            assert_eq!(png_of_dib(&whole[..length]), None);
        }
        for (at, value) in [(4, 0u32), (4, u32::MAX), (8, i32::MIN as u32), (14, 1), (16, 1), (32, u32::MAX)]
        {
            let mut wrong = whole.clone();
            wrong[at..at + 4].copy_from_slice(&value.to_le_bytes());
            assert_eq!(png_of_dib(&wrong), None, "{at}");
        }
    }
}
