//! How many heap allocations a call of the encoder and the decoder makes once its buffers have grown. zstd's own
//! memory is not counted: it belongs to the contexts, which live as long as the encoder and the decoder.

#[path = "corpus/screens.rs"]
#[allow(dead_code, reason = "other benches write a screen, this one does not")]
mod screens;

use chevet::codec::{Decoder, Encoder};
use chevet::screen::{Framebuffer, TileId};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CALLS: u64 = 10;

fn main() {
    println!("allocations a call, after the first:");
    let mut total = 0;
    for screen in screens::all() {
        let all: Vec<TileId> = (0..screen.pixels.grid().len() as TileId).collect();
        for tiles in [&all[..], &all[200..203]] {
            let [encode, decode] = count(&screen.pixels, tiles);
            println!("{:<14} {:>3} tiles: encode {encode}, decode {decode}", screen.name, tiles.len());
            total += encode + decode;
        }
    }
    assert_eq!(total, 0, "a warm encoder and a warm decoder allocate nothing");
}

fn count(screen: &Framebuffer, tiles: &[TileId]) -> [u64; 2] {
    let (mut encoder, mut decoder, mut payload) = (Encoder::new(), Decoder::new(), Vec::new());
    let mut encode = || {
        payload.clear();
        encoder.encode(black_box(screen), tiles, &mut payload);
    };
    let encoding = per_call(&mut encode);
    let grid = screen.grid();
    let mut decode = || {
        let sink = |_: usize, _: &chevet::screen::Rect, pixels: &[u32]| _ = black_box(pixels);
        decoder.decode(black_box(&payload), grid, tiles, sink).expect("what was encoded decodes");
    };
    [encoding, per_call(&mut decode)]
}

fn per_call(call: &mut dyn FnMut()) -> u64 {
    call();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..CALLS).for_each(|_| call());
    (ALLOCATIONS.load(Ordering::Relaxed) - before).div_ceil(CALLS)
}
