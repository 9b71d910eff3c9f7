//! The windows of a RemoteApp session, as a host's drawing orders tell of them (MS-RDPERP 2.2.1.3). What lies outside of all
//! of them is no part of the application, and hosts leave there what once was.

use ironrdp_pdu::window::{DesktopOrder, ShowState, WindowOrderBody, WindowState, WindowingOrder};

/// Windows that are remembered; hosts with more of them show these.
const MOST: usize = 1_024;

/// The lowest first.
#[derive(Debug, Default)]
pub struct Windows {
    known: Vec<Window>,
    /// The last of them was closed, and not only taken out of sight with the host's desktop.
    left: bool,
    /// What programs without a window show of themselves beside the clock: window and number.
    icons: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    id: u32,
    hidden: bool,
    /// Its corner on the screen, which may be beyond it, and its size, in pixels.
    corner: (i32, i32),
    size: (u32, u32),
}

impl Window {
    /// From and to where it goes in a row, if it is in this one.
    fn span(&self, y: u32) -> Option<(i64, i64)> {
        let top = i64::from(self.corner.1);
        let left = i64::from(self.corner.0);
        let inside = !self.hidden && (top..top + i64::from(self.size.1)).contains(&y.into());
        inside.then(|| (left, left + i64::from(self.size.0)))
    }

    fn update(&mut self, state: &WindowState) {
        if let Some(show) = state.show_state {
            self.hidden = matches!(show, ShowState::Hide | ShowState::Minimized);
        }
        if let Some(corner) = state.window_offset {
            self.corner = (corner.x, corner.y);
        }
        if let Some(size) = state.window_size {
            self.size = (size.width, size.height);
        }
    }
}

impl Windows {
    /// Takes orders, and says whether what is to be seen of the screen is another part of it now.
    pub fn apply(&mut self, orders: &[WindowingOrder]) -> bool {
        let before = self.known.clone();
        orders.iter().for_each(|order| self.take(order));
        before != self.known
    }

    fn take(&mut self, order: &WindowingOrder) {
        match order {
            WindowingOrder::Window(order) => match &order.body {
                WindowOrderBody::State(state) => self.update(order.window_id, order.is_new, state),
                WindowOrderBody::Deleted => self.close(order.window_id),
                WindowOrderBody::Icon(_) => {}
            },
            WindowingOrder::Desktop(order) => {
                if order.resets_windows() {
                    self.known.clear();
                    self.icons.clear();
                    self.left = false;
                }
                if let DesktopOrder::ActivelyMonitored(desktop) = order
                    && let Some(highest_first) = &desktop.z_order
                {
                    let place = |window: &Window| highest_first.iter().position(|&id| id == window.id);
                    self.known
                        .sort_by_cached_key(|window| std::cmp::Reverse(place(window).unwrap_or(usize::MAX)));
                }
            }
            WindowingOrder::NotifyIcon(order) => {
                let icon = (order.window_id, order.notify_icon_id);
                self.icons.retain(|known| *known != icon);
                if order.state.is_some() && self.icons.len() < MOST {
                    self.icons.push(icon);
                }
            }
        }
    }

    fn update(&mut self, id: u32, is_new: bool, state: &WindowState) {
        let has_room = self.known.len() < MOST;
        match self.known.iter_mut().find(|window| window.id == id) {
            Some(window) => window.update(state),
            None if is_new && has_room => {
                let mut window = Window { id, hidden: false, corner: (0, 0), size: (0, 0) };
                window.update(state);
                self.known.push(window);
                self.left = false;
            }
            None => {}
        }
    }

    fn close(&mut self, id: u32) {
        let before = self.known.len();
        self.known.retain(|window| window.id != id);
        self.left |= self.known.is_empty() && before > 0;
    }

    /// Whether all were closed. Those of a locked or lost desktop are not: they come again with it. Nor are those of a program
    /// that still shows an icon.
    pub fn are_closed(&self) -> bool {
        self.left && self.icons.is_empty()
    }

    /// Whether any is to be seen.
    pub fn any(&self) -> bool {
        self.known.iter().any(|window| !window.hidden && window.size.0 > 0 && window.size.1 > 0)
    }

    /// The highest one at this pixel.
    pub fn at(&self, x: u32, y: u32) -> Option<u32> {
        let x = i64::from(x);
        let there = |window: &&Window| window.span(y).is_some_and(|(from, to)| (from..to).contains(&x));
        self.known.iter().rev().find(there).map(|window| window.id)
    }

    /// A window is the highest from now on.
    pub fn raise(&mut self, id: u32) {
        if let Some(at) = self.known.iter().position(|window| window.id == id) {
            let window = self.known.remove(at);
            self.known.push(window);
        }
    }

    /// Darkens what of a row, which begins at this pixel, is in no window.
    pub fn darken(&self, x: u32, y: u32, row: &mut [u32]) {
        let mut spans: Vec<(i64, i64)> = self.known.iter().filter_map(|window| window.span(y)).collect();
        spans.sort_unstable();
        let place = |at: i64| usize::try_from(at - i64::from(x)).unwrap_or(0).min(row.len());
        let mut dark_from = 0;
        let mut dark = Vec::new();
        for (from, to) in spans {
            let (from, to) = (place(from), place(to));
            if from > dark_from {
                dark.push(dark_from..from);
            }
            dark_from = dark_from.max(to);
        }
        dark.push(dark_from..row.len());
        dark.into_iter().for_each(|part| row[part].fill(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironrdp_pdu::window::{MonitoredDesktop, NotifyIconOrder, WindowOrder, WindowPoint, WindowSize};
    use proptest::prelude::*;

    fn window(id: u32, x: i32, y: i32, width: u32, height: u32) -> WindowingOrder {
        let state = WindowState {
            window_offset: Some(WindowPoint { x, y }),
            window_size: Some(WindowSize { width, height }),
            show_state: Some(ShowState::Show),
            ..WindowState::default()
        };
        let body = WindowOrderBody::State(Box::new(state));
        WindowingOrder::Window(WindowOrder { window_id: id, is_new: true, body })
    }

    fn order(id: u32, body: WindowOrderBody) -> WindowingOrder {
        WindowingOrder::Window(WindowOrder { window_id: id, is_new: false, body })
    }

    fn seen(windows: &Windows, y: u32) -> Vec<u32> {
        let mut row = vec![7; 10];
        windows.darken(5, y, &mut row);
        row
    }

    #[test]
    fn what_is_outside_of_all_windows_is_dark() {
        let mut windows = Windows::default();
        assert_eq!(seen(&windows, 0), [0; 10]);
        assert!(windows.apply(&[window(1, -3, -2, 10, 4), window(2, 9, 0, 2, 100)]));
        assert_eq!(seen(&windows, 1), [7, 7, 0, 0, 7, 7, 0, 0, 0, 0]);
        assert_eq!(seen(&windows, 2), [0, 0, 0, 0, 7, 7, 0, 0, 0, 0]);
        let minimized = WindowState { show_state: Some(ShowState::Minimized), ..WindowState::default() };
        assert!(windows.apply(&[order(2, WindowOrderBody::State(Box::new(minimized)))]));
        assert_eq!(seen(&windows, 2), [0; 10]);
        assert!(windows.any());
        assert!(windows.apply(&[order(1, WindowOrderBody::Deleted)]));
        assert!(!windows.any());
        assert!(!windows.apply(&[order(9, WindowOrderBody::Deleted)]), "nothing has changed");
    }

    #[test]
    fn a_click_is_for_the_highest_window() {
        let mut windows = Windows::default();
        windows.apply(&[window(1, 0, 0, 10, 10), window(2, 5, 5, 10, 10)]);
        assert_eq!((windows.at(6, 6), windows.at(1, 1), windows.at(12, 1)), (Some(2), Some(1), None));
        windows.raise(1);
        assert_eq!(windows.at(6, 6), Some(1));
        let desktop = MonitoredDesktop { z_order: Some(vec![2, 1]), ..MonitoredDesktop::default() };
        windows.apply(&[WindowingOrder::Desktop(DesktopOrder::ActivelyMonitored(desktop))]);
        assert_eq!(windows.at(6, 6), Some(2));
        windows.apply(&[WindowingOrder::Desktop(DesktopOrder::NonMonitored)]);
        assert_eq!(windows.at(6, 6), None);
    }

    #[test]
    fn windows_are_closed_when_the_last_one_is_and_not_when_their_desktop_is_locked() {
        let mut windows = Windows::default();
        windows.apply(&[order(1, WindowOrderBody::Deleted)]);
        assert!(!windows.are_closed(), "there was none");
        windows.apply(&[window(1, 0, 0, 5, 5), window(2, 0, 0, 5, 5), order(1, WindowOrderBody::Deleted)]);
        assert!(!windows.are_closed());
        windows.apply(&[order(2, WindowOrderBody::Deleted)]);
        assert!(windows.are_closed());
        windows.apply(&[window(3, 0, 0, 5, 5)]);
        assert!(!windows.are_closed(), "another one has opened");
        windows.apply(&[WindowingOrder::Desktop(DesktopOrder::NonMonitored)]);
        assert!(!windows.are_closed() && !windows.any());
        windows.apply(&[order(3, WindowOrderBody::Deleted)]);
        assert!(!windows.are_closed());
    }

    #[test]
    fn a_program_that_shows_an_icon_beside_the_clock_has_not_ended_with_its_last_window() {
        let icon = |state| {
            WindowingOrder::NotifyIcon(NotifyIconOrder {
                window_id: 1,
                notify_icon_id: 7,
                is_new: true,
                state,
            })
        };
        let mut windows = Windows::default();
        windows.apply(&[
            window(1, 0, 0, 5, 5),
            icon(Some(Box::default())),
            order(1, WindowOrderBody::Deleted),
        ]);
        assert!(!windows.are_closed());
        windows.apply(&[icon(None)]);
        assert!(windows.are_closed());
    }

    #[test]
    fn no_more_windows_are_kept_than_may_be() {
        let mut windows = Windows::default();
        let many: Vec<_> = (0..3_000).map(|id| window(id, 0, 0, 5, 5)).collect();
        windows.apply(&many);
        assert_eq!(windows.known.len(), MOST);
    }

    proptest! {
        #[test]
        fn a_pixel_is_dark_unless_a_window_has_it(
            places in proptest::collection::vec((any::<i8>(), any::<i8>(), 0u32..60, 0u32..60), 0..8),
            huge: bool, x in 0u32..50, y in 0u32..50, length in 0usize..60,
        ) {
            let mut windows = Windows::default();
            let mut orders: Vec<_> = (0..)
                .zip(&places)
                .map(|(id, &(x, y, width, height))| window(id, x.into(), y.into(), width, height))
                .collect();
            if huge {
                orders.push(window(99, i32::MAX, i32::MIN, u32::MAX, u32::MAX));
            }
            windows.apply(&orders);
            let mut row = vec![7; length];
            windows.darken(x, y, &mut row);
            for (at, pixel) in (x..).zip(row) {
                prop_assert_eq!(pixel == 7, windows.at(at, y).is_some());
            }
        }
    }
}
