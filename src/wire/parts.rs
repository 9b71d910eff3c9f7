//! Parts of tiles on the wire: rectangles of the screen, each standing for the part of every tile that it touches.

use super::limits::MAX_UPDATE_TILES;
use super::update::TilePart;
use super::value::*;
use crate::screen::{Grid, Rect, TileId};

/// Appends parts, joined where they touch: new rows of a scrolled page are one rectangle, as are those of an uncovered edge.
pub(super) fn write_parts(parts: &[TilePart], grid: Grid, out: &mut Vec<u8>) {
    let joined = join(parts, grid);
    put_varint(out, joined.len() as u64);
    for Rect { x, y, width, height } in joined {
        [x, y, width, height].into_iter().for_each(|value| put_varint(out, value.into()));
    }
}

/// Parts touch only where their tiles do, so what is joined falls apart into the same parts again.
fn join(parts: &[TilePart], grid: Grid) -> Vec<Rect> {
    let mut rows: Vec<Rect> = Vec::new();
    for TilePart { tile, within } in parts {
        let place = grid.rect(*tile);
        let next = Rect { x: place.x + within.x, y: place.y + within.y, ..*within };
        match rows.last_mut() {
            Some(row) if (row.y, row.height, row.right()) == (next.y, next.height, next.x) => {
                row.width += next.width;
            }
            _ => rows.push(next),
        }
    }
    let mut joined: Vec<Rect> = Vec::with_capacity(rows.len());
    for row in rows {
        let above = |each: &&mut Rect| (each.x, each.width, each.bottom()) == (row.x, row.width, row.y);
        match joined.iter_mut().rev().find(above) {
            Some(above) => above.height += row.height,
            None => joined.push(row),
        }
    }
    joined
}

/// Reads parts, ascending by tile, and adds their tiles to the ascending `tiles`, which none of them may be in yet.
pub(super) fn read_parts(
    r: &mut Reader,
    grid: Grid,
    tiles: &mut Vec<TileId>,
) -> Result<Vec<TilePart>, WireError> {
    let count = r.count(MAX_UPDATE_TILES, "an update's parts of tiles")?;
    let (width, height) = grid.size();
    let mut parts: Vec<TilePart> = Vec::new();
    for _ in 0..count {
        let mut value = || side(r, "a part of tiles");
        let rect = Rect::new(value()?, value()?, value()?, value()?);
        if rect.is_empty() || !Rect::new(0, 0, width, height).contains(&rect) {
            return Err(WireError::Meaningless { what: "a part outside the screen", value: rect.x.into() });
        }
        for tile in grid.tiles_in(&rect) {
            if tiles.len() + parts.len() == MAX_UPDATE_TILES {
                let (what, limit) = ("an update's tiles", MAX_UPDATE_TILES as u64);
                return Err(WireError::TooMuch { what, value: limit + 1, limit });
            }
            let place = grid.rect(tile);
            let part = place.intersect(&rect);
            let within = Rect { x: part.x - place.x, y: part.y - place.y, ..part };
            parts.push(TilePart { tile, within });
        }
    }
    parts.sort_unstable_by_key(|part| part.tile);
    tiles.extend(parts.iter().map(|part| part.tile));
    tiles.sort_unstable();
    match tiles.array_windows().find(|[one, next]| one == next) {
        Some([twice, _]) => {
            Err(WireError::Meaningless { what: "a tile given twice", value: (*twice).into() })
        }
        None => Ok(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_touch_across_tiles_are_one_rectangle_and_read_back_as_parts() {
        let grid = Grid::new(1000, 700);
        let rects = [Rect::new(70, 100, 800, 40), Rect::new(950, 10, 5, 600), Rect::new(3, 3, 9, 22)];
        let mut parts = Vec::new();
        for rect in rects {
            for tile in grid.tiles_in(&rect) {
                let (place, part) = (grid.rect(tile), grid.rect(tile).intersect(&rect));
                let within = Rect { x: part.x - place.x, y: part.y - place.y, ..part };
                parts.push(TilePart { tile, within });
            }
        }
        parts.sort_unstable_by_key(|part| part.tile);
        assert_eq!(join(&parts, grid).len(), 3);
        let mut bytes = Vec::new();
        write_parts(&parts, grid, &mut bytes);
        let mut tiles = Vec::new();
        assert_eq!(read_parts(&mut Reader::new(&bytes), grid, &mut tiles), Ok(parts.clone()));
        assert_eq!(tiles, parts.iter().map(|part| part.tile).collect::<Vec<_>>());
        // Any of them whole as well is a contradiction.
        assert!(read_parts(&mut Reader::new(&bytes), grid, &mut vec![parts[0].tile]).is_err());
    }
}
