//! Golden payloads: what was once written stays readable, here and in the browser's decoder.

use chevet::codec::{Beginning, ContextModel, Decoder, Encoder, Reach, oracle::decode_to_framebuffer};
use chevet::screen::{Framebuffer, Grid, HashKey, TileId, hash_tile};
use std::collections::HashMap;
use std::fmt::Write;

const KEY: HashKey = HashKey(0x0123_4567_89AB_CDEF);

fn path() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/codec.txt")
}

struct Vector {
    name: String,
    width: u32,
    height: u32,
    tiles: Vec<TileId>,
    payload: Vec<u8>,
    /// The vector whose model it goes on from, or `nothing`; `None` when it stands alone.
    live: Option<String>,
    /// `None` when the payload must be refused.
    hashes: Option<Vec<u64>>,
}

fn vectors() -> Vec<Vector> {
    let text = std::fs::read_to_string(path()).expect("the vectors are in the repository");
    text.split("\n\n").filter(|block| block.starts_with("vector ")).map(parse).collect()
}

fn parse(block: &str) -> Vector {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let numbers =
        |text: &str| text.split_whitespace().map(|word| word.parse().unwrap()).collect::<Vec<u32>>();
    let size = numbers(field("size").unwrap());
    let hex = field("payload").unwrap();
    assert_eq!(u64::from_str_radix(field("key").unwrap(), 16), Ok(KEY.0));
    Vector {
        name: field("vector").unwrap().to_owned(),
        width: size[0],
        height: size[1],
        tiles: numbers(field("tiles").unwrap()),
        payload: (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
            .collect(),
        live: field("live").map(str::to_owned),
        hashes: field("hashes").map(|hashes| {
            hashes.split_whitespace().map(|hash| u64::from_str_radix(hash, 16).unwrap()).collect()
        }),
    }
}

fn hashes(screen: &Framebuffer, tiles: &[TileId]) -> Vec<u64> {
    tiles.iter().map(|&tile| hash_tile(KEY, screen, &screen.grid().rect(tile)).0).collect()
}

#[test]
fn golden_payloads_decode_to_their_pixels_or_are_refused() {
    let vectors = vectors();
    assert!(vectors.len() >= 10);
    let mut models: HashMap<String, Box<ContextModel>> = HashMap::new();
    for vector in vectors {
        let decoded = match &vector.live {
            None => decode_to_framebuffer(&vector.payload, vector.width, vector.height, &vector.tiles),
            Some(base) => {
                decode_live(&vector, models.get(base).map(|model| &**model)).map(|(screen, model)| {
                    models.insert(vector.name.clone(), model);
                    screen
                })
            }
        };
        match (decoded, vector.hashes) {
            (Ok(screen), Some(expected)) => {
                assert_eq!(hashes(&screen, &vector.tiles), expected, "{}", vector.name)
            }
            (Err(_), None) => {}
            (decoded, _) => panic!("{}: {:?}", vector.name, decoded.map(|_| "decoded")),
        }
    }
}

fn decode_live(
    vector: &Vector,
    base: Option<&ContextModel>,
) -> Result<(Framebuffer, Box<ContextModel>), chevet::codec::DecodeError> {
    let mut screen = Framebuffer::new(vector.width, vector.height).unwrap();
    let parts: Vec<_> = vector.tiles.iter().map(|&tile| screen.grid().rect(tile)).collect();
    let mut decoder = Decoder::new();
    decoder.decode_parts(&vector.payload, &parts, Beginning::Live(base), |_, rect, pixels| {
        for (y, row) in pixels.chunks_exact(rect.width as usize).enumerate() {
            screen.row_mut(rect.x, rect.y + y as u32, rect.width).copy_from_slice(row);
        }
    })?;
    Ok((screen, decoder.learnt(Box::default()).expect("all of it is context-coded")))
}

/// Run it by name with `--ignored` after the format has changed.
#[test]
#[ignore = "writes tests/vectors/codec.txt anew"]
fn write_the_vectors() {
    let mut text =
        String::from("Golden payloads of docs/codec.md; hashes are keyed tile hashes, one for each tile.\n");
    let mut encoder = Encoder::new();
    let mut write = |name: &str, screen: &Framebuffer, tiles: &[TileId], small: Option<Reach>| {
        let mut payload = Vec::new();
        let places = tiles.iter().map(|&tile| screen.grid().rect(tile));
        match small {
            Some(reach) => encoder.encode_parts(screen, places, reach, Beginning::Alone, &mut payload),
            None => encoder.encode(screen, tiles, &mut payload),
        };
        let hashes = hashes(screen, tiles).iter().map(|hash| format!(" {hash:016x}")).collect::<String>();
        block(&mut text, name, screen.grid(), tiles, &payload, &format!("hashes{hashes}"));
        payload
    };
    let text_like = |x: u32, y: u32| match noise(x / 2 + y / 20 * 977) % 4 {
        0 if y % 20 < 13 => 0x20_2020 + noise(x * 7 + y % 20) % 12 * 0x11_1111,
        _ => 0xFA_FAF0,
    };
    let line = screen(80, 30, |x, y| if y < 20 { text_like(x, y) } else { 0xFF_FFFF });
    let small = write("a line of text, context-coded", &line, &[0, 1], Some(Reach::Near));
    let lines = screen(190, 30, text_like);
    let far = write("lines of text, by sixteen neighbours", &lines, &[0, 1, 2], Some(Reach::Far));
    let mut put = |name: &str, screen: &Framebuffer, tiles: &[TileId]| write(name, screen, tiles, None);
    put("one pixel of 112233", &screen(1, 1, |_, _| 0x11_2233), &[0]);
    put("one flat tile", &screen(64, 64, |_, _| 0xFF_FFFF), &[0]);
    let stored =
        put("four by four colours, stored", &screen(4, 4, |x, y| noise(x + y * 4) & 0xFF_FFFF), &[0]);
    put("forty flat tiles, a long run", &screen(64 * 40, 3, |x, _| x / 64), &(0..40).collect::<Vec<_>>());
    let page = screen(150, 139, text_like);
    put("lines of text, edge tiles of 22x11", &page, &(0..9).collect::<Vec<_>>());
    put("some tiles of lines of text", &page, &[1, 2, 5, 8]);
    let colourful = |x: u32, y: u32| {
        if (x + y).is_multiple_of(4) { noise(x / 3 + y * 512) & 0xFF_FFFF } else { 0xFFFFFF }
    };
    put("more than 256 colours", &screen(101, 70, colourful), &[0, 1, 2, 3]);
    let grey = |x: u32, y: u32| (90 + x / 3 + noise(x * 613 + y) % 8) * 0x01_0101;
    put("grey noise", &screen(70, 67, grey), &[0, 1, 2, 3]);
    let wave =
        |x: u32, y: u32| ((x as f32 / 9.0).sin() * 60.0 + (y as f32 / 7.0).cos() * 50.0 + 120.0) as u32;
    let smooth = |x: u32, y: u32| wave(x, y) << 16 | wave(x + 5, y) << 8 | wave(x, y + 9);
    put("smooth colours", &screen(66, 70, smooth), &[0, 1, 2, 3]);
    // Steps and noise in balance: the only vector whose predictor is number 3.
    let steps = |x: u32, y: u32| (60 + (x / 5 + y / 4) % 3 * 8 + noise(x * 613 + y * 7919) % 10) * 0x01_0101;
    put("steps in grey noise", &screen(40, 30, steps), &[0]);
    // Noise smeared as a scanner's reconstruction smears it, twice as strong on the right: predictors 4 and 5.
    let speck = |x: u32, y: u32| noise(x * 613 + y * 7919) % 64;
    let smeared = |x: u32, y: u32| {
        let sum = 4 * speck(x + 1, y + 1)
            + speck(x, y + 1)
            + speck(x + 2, y + 1)
            + speck(x + 1, y)
            + speck(x + 1, y + 2);
        (if x < 64 { 60 + sum / 16 } else { sum / 3 }) * 0x01_0101
    };
    put("smeared grey noise, in part around black", &screen(150, 70, smeared), &(0..6).collect::<Vec<_>>());
    let noisy = |x: u32, y: u32| smooth(x, y) ^ (noise(x * 911 + y) & 0x1F_1F1F);
    let noisy_payload = put("noisy colours", &screen(65, 66, noisy), &[0, 1, 2, 3]);
    let steep =
        |x: u32, y: u32| (((x * 5) ^ (y * 3)) & 0xFF) << 16 | ((x * y) & 0xFF) << 8 | ((x * x + y) & 0xFF);
    put("steep colours", &screen(64, 64, steep), &[0]);
    let mixed = |x: u32, y: u32| match x / 64 {
        0 => text_like(x, y),
        1 => grey(x, y),
        2 => noisy(x, y),
        _ => 0,
    };
    put("every class in one payload", &screen(200, 40, mixed), &[0, 1, 2, 3]);
    let dark = screen(80, 30, |x, y| if y < 20 { 0xFF_FFFF - text_like(x + 8, y) } else { 0 });
    // Each has 200 colours: of those of both, the first are forgotten.
    let speckled = |first: u32| screen(20, 20, |x, y| ((first + (x * 20 + y) % 200) * 0x01_0003) & 0xFF_FFFF);
    let chain = [
        ("live text", "nothing", &line, Reach::Near),
        ("the same live text again", "live text", &line, Reach::Near),
        ("other live text", "the same live text again", &dark, Reach::Near),
        ("live specks", "other live text", &speckled(1), Reach::Near),
        ("other live specks", "live specks", &speckled(300), Reach::Near),
        ("live lines, far", "nothing", &lines, Reach::Far),
        ("the same live lines again, far", "live lines, far", &lines, Reach::Far),
        ("live text, far", "the same live lines again, far", &dark, Reach::Far),
        ("live specks, far", "live text, far", &speckled(1), Reach::Far),
        ("other live specks, far", "live specks, far", &speckled(300), Reach::Far),
        ("live text by fewer neighbours again", "other live specks, far", &line, Reach::Near),
    ];
    let mut models: HashMap<&str, Box<ContextModel>> = HashMap::new();
    for (name, base, screen, reach) in chain {
        let (mut payload, grid) = (Vec::new(), screen.grid());
        let tiles: Vec<TileId> = (0..grid.len() as TileId).collect();
        let places = tiles.iter().map(|&tile| grid.rect(tile));
        let beginning = Beginning::Live(models.get(base).map(|model| &**model));
        assert!(encoder.encode_parts(screen, places, reach, beginning, &mut payload).learnt, "{name}");
        models.insert(name, encoder.learnt(Box::default()));
        let hashes = hashes(screen, &tiles).iter().map(|hash| format!(" {hash:016x}")).collect::<String>();
        block(&mut text, name, grid, &tiles, &payload, &format!("live {base}\nhashes{hashes}"));
    }
    let grid = Grid::new(65, 66);
    let tiles = [0, 1, 2, 3];
    block(&mut text, "an unknown class", grid, &tiles, &[5], "refused");
    let cut = &small[..small.len() - 1];
    block(&mut text, "context-coded tiles that end early", Grid::new(80, 30), &[0, 1], cut, "refused");
    let longer: Vec<u8> = far.iter().copied().chain([0]).collect();
    block(&mut text, "sixteen neighbours and a byte", Grid::new(190, 30), &[0, 1, 2], &longer, "refused");
    block(&mut text, "both context-coded classes", Grid::new(80, 30), &[0, 1], &[3, 4, 0], "refused");
    let longer: Vec<u8> = small.iter().copied().chain([0]).collect();
    block(&mut text, "context-coded tiles and a byte", Grid::new(80, 30), &[0, 1], &longer, "refused");
    let much = [3 << 3 | 3, 0];
    block(&mut text, "too many context-coded pixels", Grid::new(128, 65), &[0, 1, 2, 3], &much, "refused");
    block(&mut text, "an empty payload", grid, &tiles, &[], "refused");
    block(&mut text, "a run longer than the tiles", grid, &tiles, &[4 << 3], "refused");
    block(&mut text, "half a payload", grid, &tiles, &noisy_payload[..noisy_payload.len() / 2], "refused");
    let cut = &stored[..stored.len() - 1];
    block(&mut text, "a stored part that ends early", Grid::new(4, 4), &[0], cut, "refused");
    block(&mut text, "one colour that ends early", grid, &tiles, &[3 << 3, 1, 255, 255], "refused");
    let longer: Vec<u8> = noisy_payload.iter().copied().chain([0]).collect();
    block(&mut text, "a byte too many", grid, &tiles, &longer, "refused");
    std::fs::write(path(), text).unwrap();
}

fn block(text: &mut String, name: &str, grid: Grid, tiles: &[TileId], payload: &[u8], end: &str) {
    let last = grid.rect(grid.len() as TileId - 1);
    let tiles = tiles.iter().map(|tile| format!(" {tile}")).collect::<String>();
    let hex = payload.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    write!(
        text,
        "\nvector {name}\nsize {} {}\ntiles{tiles}\nkey {:016x}\npayload {hex}\n{end}\n",
        last.right(),
        last.bottom(),
        KEY.0
    )
    .unwrap();
}

fn screen(width: u32, height: u32, pixel: impl Fn(u32, u32) -> u32) -> Framebuffer {
    let mut screen = Framebuffer::new(width, height).unwrap();
    for y in 0..height {
        for x in 0..width {
            screen.row_mut(x, y, 1)[0] = pixel(x, y);
        }
    }
    screen
}

fn noise(seed: u32) -> u32 {
    let word = (seed ^ seed >> 15).wrapping_mul(0x2C1B_3C6D);
    (word ^ word >> 12).wrapping_mul(0x297A_2D39) >> 7
}
