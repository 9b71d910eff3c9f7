//! Decodes natural tiles.

#[cfg(target_arch = "x86_64")]
use super::chain::restore_row;
use super::linear::{Padded, WEIGHTS, Weights};
use super::planes::{fill_sides, interleave, join_grey_row, join_row};
#[cfg(not(target_arch = "x86_64"))]
use super::predict::restore_row;
use super::predict::{LINEAR, LINEAR_AGAIN, MEAN, MEDIAN, PREDICTORS, SLOPE, SOFT, restore_first_row};
use super::{ACTIVITIES, BLOCK, PLANE, STRIDE, block_count, blocks, planes_of};
use crate::codec::TILE_PIXELS;
use crate::codec::decoder::Placed;
use crate::codec::entropy::Unpacker;
use crate::codec::payload::{DecodeError, Reader};
use crate::screen::{Rect, TILE};

/// Decodes the section of natural tiles.
pub(in crate::codec) struct NaturalDecoder {
    map: Vec<u8>,
    weights: Vec<u8>,
    streams: [Vec<u8>; ACTIVITIES],
    residuals: Box<[[u8; TILE_PIXELS]; 3]>,
    grey: Box<[[u8; 1]; PLANE]>,
    linear: Box<Padded>,
    colour: Box<[[u8; 4]; PLANE]>,
    pixels: Box<[u32; TILE_PIXELS]>,
}

impl NaturalDecoder {
    pub(in crate::codec) fn new() -> Self {
        NaturalDecoder {
            map: Vec::new(),
            weights: Vec::new(),
            streams: Default::default(),
            residuals: Box::new([[0; TILE_PIXELS]; 3]),
            grey: Box::new([[0; 1]; PLANE]),
            linear: Box::new(Padded::new()),
            colour: Box::new([[0; 4]; PLANE]),
            pixels: Box::new([0; TILE_PIXELS]),
        }
    }

    pub(in crate::codec) fn decode<Tiles: Iterator<Item = Placed>>(
        &mut self,
        unpacker: &mut Unpacker,
        reader: &mut Reader<'_>,
        tiles: impl Fn() -> Tiles,
        sink: &mut impl FnMut(usize, &Rect, &[u32]),
    ) -> Result<(), DecodeError> {
        let count = tiles().count();
        let blocks: usize = tiles().map(|tile| block_count(&tile.rect) * planes_of(tile.class)).sum();
        self.map.resize(count + blocks, 0);
        unpacker.unpack(reader, &mut self.map)?;
        let (predictors, activities) = self.map.split_at(count);
        let weighted = check_predictors(tiles(), predictors)?;
        check_activities(activities)?;
        if weighted > 0 {
            self.weights.resize(weighted * WEIGHTS, 0);
            unpacker.unpack(reader, &mut self.weights)?;
        }
        let sizes = stream_sizes(tiles(), activities);
        for (stream, &size) in self.streams.iter_mut().zip(&sizes).skip(1).filter(|(_, size)| **size > 0) {
            stream.resize(size, 0);
            unpacker.unpack(reader, stream)?;
        }
        let mut streams = self.streams.each_ref().map(|stream| &stream[..]);
        let mut activities = activities;
        let mut sent = self.weights.as_chunks::<WEIGHTS>().0.iter();
        let mut weights: Weights = [0; WEIGHTS];
        for (tile, &predictor) in tiles().zip(predictors) {
            let rect = &tile.rect;
            let planes = planes_of(tile.class);
            for plane in 0..planes {
                let (kinds, more) = activities.split_at(block_count(rect));
                activities = more;
                place_blocks(rect, kinds, &mut streams, &mut self.residuals[plane]);
            }
            let pixels = &mut self.pixels[..rect.area() as usize];
            if predictor == LINEAR {
                // There are as many as tiles that have some.
                weights = sent.next().map_or(weights, |sent| sent.map(|weight| weight as i8));
            }
            if predictor >= LINEAR {
                let size = (rect.width as usize, rect.height as usize);
                self.linear.restore(&self.residuals[0], TILE as usize, size, &weights, |y, cells| {
                    let pixels = &mut pixels[y * cells.len()..][..cells.len()];
                    join_grey_row(cells.as_chunks::<1>().0, pixels);
                });
            } else if planes == 1 {
                restore_grey(predictor, &self.residuals[0], &mut self.grey, rect, pixels);
            } else {
                restore_colour(predictor, &self.residuals, &mut self.colour, rect, pixels);
            }
            sink(tile.index, rect, pixels);
        }
        Ok(())
    }
}

/// How many tiles have weights of their own, if each tile may have its predictor.
fn check_predictors(tiles: impl Iterator<Item = Placed>, predictors: &[u8]) -> Result<usize, DecodeError> {
    let mut weighted = 0;
    for (tile, &predictor) in tiles.zip(predictors) {
        let limit = match planes_of(tile.class) {
            1 if weighted > 0 => LINEAR_AGAIN,
            1 => LINEAR,
            _ => PREDICTORS as u8 - 1,
        };
        if predictor > limit {
            let (value, limit) = (predictor.into(), limit.into());
            return Err(DecodeError::OutOfRange { what: "a predictor", value, limit });
        }
        weighted += usize::from(predictor == LINEAR);
    }
    Ok(weighted)
}

fn check_activities(activities: &[u8]) -> Result<(), DecodeError> {
    match activities.iter().max() {
        Some(&most) if most as usize >= ACTIVITIES => {
            let (value, limit) = (most.into(), ACTIVITIES as u64 - 1);
            Err(DecodeError::OutOfRange { what: "an activity class", value, limit })
        }
        _ => Ok(()),
    }
}

/// How many residuals each activity class has.
fn stream_sizes(tiles: impl Iterator<Item = Placed>, activities: &[u8]) -> [usize; ACTIVITIES] {
    let mut sizes = [0; ACTIVITIES];
    let mut activities = activities.iter();
    for tile in tiles {
        for _ in 0..planes_of(tile.class) {
            for ((_, _, columns, lines), &kind) in blocks(&tile.rect).zip(&mut activities) {
                sizes[kind as usize] += columns * lines;
            }
        }
    }
    sizes
}

/// Takes each block of a plane from its stream; the streams are long enough by [`stream_sizes`].
fn place_blocks(
    rect: &Rect,
    kinds: &[u8],
    streams: &mut [&[u8]; ACTIVITIES],
    residuals: &mut [u8; TILE_PIXELS],
) {
    for ((x, y, columns, lines), &kind) in blocks(rect).zip(kinds) {
        let start = y * TILE as usize + x;
        if kind == 0 {
            (0..lines).for_each(|line| residuals[start + line * TILE as usize..][..columns].fill(0));
            continue;
        }
        let stream = &mut streams[kind as usize];
        let (block, rest) = stream.split_at(columns * lines);
        *stream = rest;
        if let Some(block) = block.first_chunk::<{ BLOCK * BLOCK }>() {
            for (line, cells) in block.as_chunks::<BLOCK>().0.iter().enumerate() {
                residuals[start + line * TILE as usize..][..BLOCK].copy_from_slice(cells);
            }
            continue;
        }
        for (line, cells) in block.chunks_exact(columns).enumerate() {
            residuals[start + line * TILE as usize..][..columns].copy_from_slice(cells);
        }
    }
}

fn restore_grey(
    predictor: u8,
    residuals: &[u8; TILE_PIXELS],
    cells: &mut [[u8; 1]; PLANE],
    rect: &Rect,
    pixels: &mut [u32],
) {
    let row = |y: usize, cells: &mut [[u8; 1]]| {
        let row = &residuals[y * TILE as usize..][..cells.len()];
        cells.iter_mut().zip(row).for_each(|(cell, &residual)| *cell = [residual]);
    };
    restore(predictor, rect, cells, row, join_grey_row, pixels);
}

fn restore_colour(
    predictor: u8,
    residuals: &[[u8; TILE_PIXELS]; 3],
    cells: &mut [[u8; 4]; PLANE],
    rect: &Rect,
    pixels: &mut [u32],
) {
    let row = |y: usize, cells: &mut [[u8; 4]]| {
        interleave(residuals.each_ref().map(|plane| &plane[y * TILE as usize..][..cells.len()]), cells);
    };
    restore(predictor, rect, cells, row, join_row, pixels);
}

/// Restores a tile's cells row by row: `residuals` fills a row of residuals, `join` makes pixels of cells.
#[inline(always)]
fn restore<const LANES: usize>(
    predictor: u8,
    rect: &Rect,
    cells: &mut [[u8; LANES]; PLANE],
    residuals: impl Fn(usize, &mut [[u8; LANES]]),
    join: impl Fn(&[[u8; LANES]], &mut [u32]),
    pixels: &mut [u32],
) {
    let width = rect.width as usize;
    let mut row = [[0; LANES]; TILE as usize];
    for (y, pixels) in pixels.chunks_exact_mut(width).enumerate() {
        residuals(y, &mut row[..width]);
        let row = &row[..width];
        if y == 0 {
            cells[0] = [0; LANES];
            restore_first_row(&mut cells[..STRIDE], row);
        } else {
            fill_sides(cells, width, y);
            let (above, here) = cells[(y - 1) * STRIDE..(y + 1) * STRIDE].split_at_mut(STRIDE);
            match predictor {
                MEDIAN => restore_row::<MEDIAN, LANES>(here, above, row),
                MEAN => restore_row::<MEAN, LANES>(here, above, row),
                SLOPE => restore_row::<SLOPE, LANES>(here, above, row),
                _ => restore_row::<SOFT, LANES>(here, above, row),
            }
        }
        join(&cells[y * STRIDE + 1..][..width], pixels);
    }
}
