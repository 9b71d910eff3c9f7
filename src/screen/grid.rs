use super::Rect;

/// The side of a tile, in pixels. Tiles at the right and lower edge may be smaller.
pub const TILE: u32 = 64;

/// A tile's place in its grid: row by row from the top, 0 at the top left.
pub type TileId = u32;

/// The fixed squares into which a screen is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    width: u32,
    height: u32,
}

impl Grid {
    /// The grid over a screen of this size in pixels.
    pub fn new(width: u32, height: u32) -> Self {
        Grid { width, height }
    }

    /// Width and height of the screen, in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    pub fn columns(&self) -> u32 {
        self.width.div_ceil(TILE)
    }

    pub fn rows(&self) -> u32 {
        self.height.div_ceil(TILE)
    }

    /// How many tiles there are.
    pub fn len(&self) -> usize {
        (self.columns() * self.rows()) as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a tile lies. `tile` must be less than [`Grid::len`].
    pub fn rect(&self, tile: TileId) -> Rect {
        let x = tile % self.columns() * TILE;
        let y = tile / self.columns() * TILE;
        Rect { x, y, width: TILE.min(self.width - x), height: TILE.min(self.height - y) }
    }

    /// The tile that holds a pixel inside the screen.
    pub fn tile_at(&self, x: u32, y: u32) -> TileId {
        y / TILE * self.columns() + x / TILE
    }

    /// The tiles that a rectangle touches; what lies outside the screen is left out.
    pub fn tiles_in(&self, rect: &Rect) -> impl Iterator<Item = TileId> + use<> {
        let rect = rect.intersect(&Rect::new(0, 0, self.width, self.height));
        let columns = self.columns();
        let across = rect.x / TILE..rect.right().div_ceil(TILE);
        (rect.y / TILE..rect.bottom().div_ceil(TILE))
            .flat_map(move |row| across.clone().map(move |column| row * columns + column))
    }
}

/// A set of tiles of one grid: a bit a tile.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TileSet {
    words: Vec<u64>,
    tiles: usize,
}

impl TileSet {
    /// The empty set over a grid of `tiles` tiles.
    pub fn new(tiles: usize) -> Self {
        TileSet { words: vec![0; tiles.div_ceil(64)], tiles }
    }

    /// Every tile of the grid.
    pub fn full(tiles: usize) -> Self {
        let mut set = TileSet::new(tiles);
        (0..tiles as TileId).for_each(|tile| set.insert(tile));
        set
    }

    /// `tile` must belong to the grid.
    pub fn insert(&mut self, tile: TileId) {
        self.words[tile as usize / 64] |= 1 << (tile % 64);
    }

    pub fn remove(&mut self, tile: TileId) {
        self.words[tile as usize / 64] &= !(1 << (tile % 64));
    }

    pub fn contains(&self, tile: TileId) -> bool {
        self.words.get(tile as usize / 64).is_some_and(|word| word >> (tile % 64) & 1 == 1)
    }

    /// Adds every tile of `other`, which must be of the same grid.
    pub fn union_with(&mut self, other: &TileSet) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, more)| *word |= more);
    }

    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// How many tiles the grid has, in the set or not.
    pub fn grid_len(&self) -> usize {
        self.tiles
    }

    /// The tiles in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = TileId> + '_ {
        self.words.iter().enumerate().flat_map(|(index, &word)| {
            std::iter::successors((word != 0).then_some(word), |rest| {
                let rest = rest & (rest - 1);
                (rest != 0).then_some(rest)
            })
            .map(move |rest| index as u32 * 64 + rest.trailing_zeros())
        })
    }
}
