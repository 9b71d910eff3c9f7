//! Fewer, larger rectangles to fetch: each request to the server costs as much as some thousands of pixels.

use crate::screen::Rect;

/// How many pixels not asked for may be fetched to save one request.
const WASTE: u64 = 8_192;
/// The most requests for one capture.
const MOST: usize = 64;
/// How many of the newest boxes a rectangle is compared with.
const NEIGHBOURS: usize = 16;

/// Boxes that together cover every rectangle. At most [`MOST`], and no more pixels than the rectangles have
/// plus what merging wastes.
pub(super) fn merge(rects: &[Rect]) -> Vec<Rect> {
    let mut waste = WASTE;
    let mut boxes = merge_within(rects, waste);
    while boxes.len() > MOST {
        // Doubling ends: once the waste exceeds the screen everything merges.
        waste = waste.saturating_mul(2);
        boxes = merge_within(&boxes, waste);
    }
    boxes
}

fn merge_within(rects: &[Rect], waste: u64) -> Vec<Rect> {
    let mut boxes: Vec<Rect> = Vec::new();
    for rect in rects.iter().filter(|rect| !rect.is_empty()) {
        let newest = boxes.len().saturating_sub(NEIGHBOURS);
        let wasted = |other: &Rect| other.union(rect).area().saturating_sub(other.area() + rect.area());
        let best = boxes[newest..].iter_mut().min_by_key(|other| wasted(other));
        match best {
            Some(other) if wasted(other) <= waste => *other = other.union(rect),
            _ => boxes.push(*rect),
        }
    }
    boxes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rects() -> impl Strategy<Value = Vec<Rect>> {
        let rect = (0u32..4000, 0u32..4000, 0u32..400, 0u32..400)
            .prop_map(|(x, y, width, height)| Rect::new(x, y, width, height));
        proptest::collection::vec(rect, 0..600)
    }

    proptest! {
        #[test]
        fn every_rectangle_lies_in_one_box_and_there_are_few(rects in rects()) {
            let boxes = merge(&rects);
            prop_assert!(boxes.len() <= MOST);
            for rect in rects.iter().filter(|rect| !rect.is_empty()) {
                prop_assert!(boxes.iter().any(|merged| merged.contains(rect)));
            }
        }
    }

    #[test]
    fn letters_of_a_line_become_one_box_and_far_windows_stay_apart() {
        let mut rects: Vec<Rect> = (0..40).map(|column| Rect::new(100 + column * 10, 50, 8, 14)).collect();
        rects.push(Rect::new(1500, 900, 300, 100));
        assert_eq!(merge(&rects), vec![Rect::new(100, 50, 398, 14), Rect::new(1500, 900, 300, 100)]);
    }
}
