//! The screens that the codec is measured on: rendered interface pages, a photograph, and a CT-like image.

use chevet::screen::Framebuffer;
use std::path::{Path, PathBuf};

pub const WIDTH: u32 = 1920;
pub const HEIGHT: u32 = 1080;
pub const INTERFACE: [&str; 5] = ["form", "documentation", "source", "book", "terminal"];

pub struct Screen {
    pub name: &'static str,
    pub pixels: Framebuffer,
}

/// Every screen that is at hand. What `make.sh` rendered into `target/corpus` goes before the recorded
/// copies in `benches/corpus/screens`; the photograph exists only if `make.sh` has run.
pub fn all() -> Vec<Screen> {
    let mut screens: Vec<Screen> = INTERFACE
        .into_iter()
        .chain(["photograph"])
        .filter_map(|name| find(name).map(|path| Screen { name, pixels: read_png(&path) }))
        .collect();
    screens.push(Screen { name: "ct", pixels: ct(20_260_611) });
    screens.push(Screen { name: "ct-scaled", pixels: ct_scaled(20_260_611) });
    screens
}

/// A screen that the repository holds.
pub fn named(name: &str) -> Framebuffer {
    read_png(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("benches/corpus/screens")
            .join(name)
            .with_extension("png"),
    )
}

fn find(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    [root.join("target/corpus"), root.join("benches/corpus/screens")]
        .into_iter()
        .map(|folder| folder.join(format!("{name}.png")))
        .find(|path| path.exists())
}

/// Reads an RGB, RGBA, grey or palette PNG of 8 bits or fewer.
pub fn read_png(path: &Path) -> Framebuffer {
    let file = std::io::BufReader::new(std::fs::File::open(path).expect("the screen opens"));
    let mut decoder = png::Decoder::new(file);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().expect("the screen is a PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("the screen fits memory")];
    let frame = reader.next_frame(&mut bytes).expect("the screen is whole");
    let mut framebuffer = Framebuffer::new(frame.width, frame.height).expect("the screen has a size");
    let samples = frame.color_type.samples();
    for (pixel, sample) in framebuffer.pixels_mut().iter_mut().zip(bytes.chunks_exact(samples)) {
        let [r, g, b] = if samples < 3 { [sample[0]; 3] } else { [sample[0], sample[1], sample[2]] };
        *pixel = u32::from_be_bytes([0, r, g, b]);
    }
    framebuffer
}

/// Writes a screen as an RGB PNG.
pub fn write_png(path: &Path, framebuffer: &Framebuffer) {
    let file = std::fs::File::create(path).expect("the PNG can be made");
    let mut encoder = png::Encoder::new(file, framebuffer.width(), framebuffer.height());
    encoder.set_color(png::ColorType::Rgb);
    let bytes: Vec<u8> =
        framebuffer.pixels().iter().flat_map(|pixel| pixel.to_be_bytes().into_iter().skip(1)).collect();
    let mut writer = encoder.write_header().expect("the PNG starts");
    writer.write_image_data(&bytes).expect("the PNG is written");
}

/// Two axial slices, side by side, of a body made of ellipses, seen through a soft-tissue window: black air,
/// noise whose neighbours are correlated as after reconstruction, and everything grey.
pub fn ct(seed: u32) -> Framebuffer {
    let mut framebuffer = Framebuffer::new(WIDTH, HEIGHT).expect("a screen of this size is possible");
    let (width, height) = (WIDTH as usize, HEIGHT as usize);
    let noise = noise(seed, width * height);
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            let (u, v) = ((x % 960) as f32 / 960.0, (y as f32 - 60.0) / 960.0);
            let tilt = if x < 960 { 0.0 } else { 0.02 };
            let grey = grey(u, v, tilt, blurred(&noise, width, y * width + x));
            framebuffer.pixels_mut()[y * width + x] = grey * 0x0001_0101;
        }
    }
    framebuffer
}

/// The same two slices as a scanner makes them, of 512x512, each scaled to 960x960 by bilinear interpolation, as viewers
/// show them.
pub fn ct_scaled(seed: u32) -> Framebuffer {
    const SLICE: usize = 512;
    const SHOWN: usize = 960;
    let mut framebuffer = Framebuffer::new(WIDTH, HEIGHT).expect("a screen of this size is possible");
    let noise = noise(seed, SLICE * SLICE * 2);
    for (at, noise) in noise.chunks_exact(SLICE * SLICE).enumerate() {
        let mut slice = vec![0; SLICE * SLICE];
        for y in 1..SLICE - 1 {
            for x in 1..SLICE - 1 {
                let (u, v) = (x as f32 / SLICE as f32, y as f32 / SLICE as f32);
                slice[y * SLICE + x] = grey(u, v, at as f32 * 0.02, blurred(noise, SLICE, y * SLICE + x));
            }
        }
        let left = at * SHOWN;
        let top = (HEIGHT as usize - SHOWN) / 2;
        for y in 0..SHOWN {
            for x in 0..SHOWN {
                // Where the pixel's middle is on the slice, in 256ths of its pixels.
                let place = |at: usize| ((at * 2 + 1) * SLICE * 128 / SHOWN).saturating_sub(128);
                let (u, v) = (place(x), place(y));
                let pixel = |x: usize, y: usize| slice[y.min(SLICE - 1) * SLICE + x.min(SLICE - 1)];
                let across = |y: usize| {
                    let (x, right) = (u / 256, (u % 256) as u32);
                    pixel(x, y) * (256 - right) + pixel(x + 1, y) * right
                };
                let (y_above, below) = (v / 256, (v % 256) as u32);
                let sum = across(y_above) * (256 - below) + across(y_above + 1) * below;
                framebuffer.row_mut((left + x) as u32, (top + y) as u32, 1)[0] =
                    ((sum + (1 << 15)) >> 16) * 0x0001_0101;
            }
        }
    }
    framebuffer
}

/// The sum of four uniform numbers is near enough to a normal one; its deviation here is 9.5 levels.
fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    (0..count).map(|_| (0..4).map(|_| random() as f32 / u32::MAX as f32 - 0.5).sum::<f32>() * 16.5).collect()
}

/// As a scanner's reconstruction smears it.
fn blurred(noise: &[f32], width: usize, at: usize) -> f32 {
    0.5 * noise[at] + 0.125 * (noise[at - 1] + noise[at + 1] + noise[at - width] + noise[at + width])
}

/// The grey level of a place on a slice, whose side is 1.
fn grey(u: f32, v: f32, tilt: f32, noise: f32) -> u32 {
    // Centre, half axes, and grey level; later ellipses cover earlier ones.
    const ORGANS: [[f32; 5]; 13] = [
        [0.50, 0.54, 0.46, 0.34, 92.0],
        [0.50, 0.54, 0.43, 0.31, 122.0],
        [0.36, 0.48, 0.20, 0.17, 146.0],
        [0.66, 0.44, 0.11, 0.10, 131.0],
        [0.62, 0.45, 0.05, 0.04, 20.0],
        [0.71, 0.62, 0.06, 0.09, 164.0],
        [0.29, 0.66, 0.06, 0.08, 164.0],
        [0.50, 0.72, 0.075, 0.065, 236.0],
        [0.50, 0.71, 0.03, 0.025, 150.0],
        [0.47, 0.60, 0.032, 0.032, 178.0],
        [0.54, 0.60, 0.035, 0.028, 170.0],
        [0.40, 0.42, 0.04, 0.03, 156.0],
        [0.78, 0.55, 0.012, 0.05, 226.0],
    ];
    let mut level = 4.0;
    let mut inside = false;
    for [cx, cy, a, b, grey] in ORGANS {
        let distance = ((u - cx - tilt) / a).powi(2) + ((v - cy + tilt) / b).powi(2);
        if distance < 1.0 {
            inside = true;
            // Organs end within about two pixels, and are not quite even inside.
            let soft = ((1.0 - distance) * 90.0).min(1.0);
            level += (grey + 6.0 * (u * 23.0 + v * 31.0).sin() - level) * soft;
        }
    }
    (level + noise * if inside { 1.0 } else { 0.45 }).clamp(0.0, 255.0) as u32
}
