use super::*;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub from: Rect,
    pub x: u32,
    pub y: u32,
}
pub struct MoveFinder;
impl MoveFinder {
    pub fn new() -> Self {
        MoveFinder
    }
    pub fn find(&mut self, _: &Framebuffer, _: &Framebuffer, _: &TileSet) -> Vec<Move> {
        vec![]
    }
}
