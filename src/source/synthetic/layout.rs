use crate::screen::{Grid, Rect, TILE, TileId};

/// Where things stand on a synthetic screen, on whole tiles: who types into it must know which tile will answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    grid: Grid,
    /// The rows that a wheel scrolls.
    pub table: Rect,
    /// The picture: slices of a stack, or a moving one.
    pub picture: Rect,
}

impl Layout {
    /// The side of the picture, in tiles, if the screen is large enough.
    const PICTURE_TILES: u32 = 8;

    pub fn new(width: u32, height: u32) -> Layout {
        let grid = Grid::new(width, height);
        // Only whole tiles hold what moves, so that none of them is also somebody's echo.
        let (columns, rows) = (width / TILE, height / TILE);
        let first = columns * 2 / 5;
        let split = columns * 7 / 10;
        let middle = rows / 2;
        let tiles = |x: u32, y: u32, width: u32, height: u32| {
            Rect::new(x * TILE, y * TILE, width * TILE, height * TILE)
        };
        let side = Self::PICTURE_TILES.min(columns - split).min(middle.saturating_sub(1));
        Layout {
            grid,
            table: tiles(first, middle, split - first, rows - middle),
            picture: tiles(columns - side, 1, side, side),
        }
    }

    /// The tiles that answer input, in order: all that hold neither table nor picture.
    pub fn echoes(&self) -> Vec<TileId> {
        (0..self.grid.len() as TileId).filter(|&tile| self.is_echo(tile)).collect()
    }

    pub fn is_echo(&self, tile: TileId) -> bool {
        let meets = |rect: &Rect| !rect.intersect(&self.grid.rect(tile)).is_empty();
        (tile as usize) < self.grid.len() && !meets(&self.table) && !meets(&self.picture)
    }

    pub fn grid(&self) -> Grid {
        self.grid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_the_size_all_lies_on_the_screen_and_some_tile_answers(
            width in 1u32..4_000, height in 1u32..2_500,
        ) {
            let layout = Layout::new(width, height);
            let screen = Rect::new(0, 0, width, height);
            prop_assert!(layout.table.is_empty() || screen.contains(&layout.table));
            prop_assert!(layout.picture.is_empty() || screen.contains(&layout.picture));
            prop_assert!(layout.table.intersect(&layout.picture).is_empty());
            prop_assert!(!layout.echoes().is_empty());
        }
    }

    #[test]
    fn a_full_hd_screen_has_an_echo_for_each_of_sixty_viewers() {
        let layout = Layout::new(1920, 1080);
        assert_eq!(layout.picture, Rect::new(23 * 64, 64, 448, 448));
        assert!(layout.echoes().len() >= 300, "{}", layout.echoes().len());
    }
}
