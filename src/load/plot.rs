//! Plots as SVG: lines over an axis of numbers. Colours come from the page's style, so that they follow its theme.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 58.0;
const BOTTOM: f64 = 34.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 14.0;

/// A line of a plot.
pub struct Line {
    pub name: &'static str,
    /// The class that gives it its colour: a, b or c.
    pub class: &'static str,
    pub points: Vec<(f64, f64)>,
}

/// What stands along the bottom.
pub enum Across {
    Seconds,
    /// Of a month, from 1.
    Days,
    /// Parts of all, written as the share above them: each step has a tenth of what the one before leaves.
    Nines,
}

/// A plot from 0 up. `unit` stands at the numbers of the upward axis.
pub fn plot(title: &str, unit: &str, across: &Across, lines: &[Line]) -> String {
    let all = || lines.iter().flat_map(|line| &line.points);
    if all().next().is_none() {
        return format!(
            "<figure><figcaption>{title}</figcaption><p class=none>Nothing was measured.</p></figure>"
        );
    }
    let left = all().map(|(x, _)| *x).fold(f64::INFINITY, f64::min).min(0.0);
    let right = all().map(|(x, _)| *x).fold(left + 1e-9, f64::max);
    let step = step_of(all().map(|(_, y)| *y).fold(0.0, f64::max));
    let most = (all().map(|(_, y)| *y).fold(0.0, f64::max) / step).ceil().max(1.0) * step;
    let to_x = |x: f64| LEFT + (x - left) / (right - left) * (WIDTH - LEFT - RIGHT);
    let to_y = |y: f64| HEIGHT - BOTTOM - y / most * (HEIGHT - BOTTOM - TOP);
    let mut svg = format!("<figure><figcaption>{title}<span class=keys>");
    for line in lines {
        let _ = write!(svg, "<i class={}></i>{} ", line.class, line.name);
    }
    let _ = write!(
        svg,
        "</span></figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{title}\">"
    );
    let mut value = 0.0;
    while value <= most + step / 2.0 {
        let y = to_y(value);
        let _ = write!(
            svg,
            "<path class=grid d=\"M{LEFT} {y:.1}H{:.1}\"/><text class=up x={} y={:.1}>{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            number(value)
        );
        value += step;
    }
    let _ = write!(svg, "<text class=unit x={LEFT} y={:.1}>{unit}</text>", TOP - 1.0);
    for (x, label) in marks(across, left, right) {
        let _ = write!(svg, "<text class=across x={:.1} y={:.1}>{label}</text>", to_x(x), HEIGHT - 12.0);
    }
    for line in lines {
        let mut path = String::new();
        for (index, (x, y)) in line.points.iter().enumerate() {
            let _ = write!(path, "{}{:.1} {:.1}", if index == 0 { 'M' } else { 'L' }, to_x(*x), to_y(*y));
        }
        if let [(x, y)] = line.points[..] {
            let _ = write!(path, "M{:.1} {:.1}h3", to_x(x) - 1.5, to_y(y));
        }
        let _ = write!(svg, "<path class=\"line {}\" d=\"{path}\"/>", line.class);
    }
    svg + "</svg></figure>"
}

/// A round step that divides up to `most` into at most five parts.
fn step_of(most: f64) -> f64 {
    let most = if most > 0.0 { most } else { 1.0 };
    let power = 10f64.powf((most / 5.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|part| part * power).into_iter().find(|step| most / step <= 5.0).unwrap_or(most)
}

fn number(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e4 => format!("{}k", value / 1e3),
        // Sums of steps are not quite what they should be.
        value => format!("{}", (value * 1e4).round() / 1e4),
    }
}

fn marks(across: &Across, left: f64, right: f64) -> Vec<(f64, String)> {
    match across {
        Across::Seconds => {
            let step = step_of(right - left).max(1.0);
            let marks = (0..).map(|index| f64::from(index) * step).take_while(|x| *x <= right);
            marks.map(|x| (x, format!("{x} s"))).collect()
        }
        Across::Days => {
            let step = step_of(right - left).max(1.0);
            let marks = (0..).map(|index| 1.0 + f64::from(index) * step).take_while(|x| *x <= right);
            marks.map(|x| (x, format!("{x}"))).collect()
        }
        Across::Nines => ["0", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"]
            .iter()
            .zip(0..)
            .map(|(label, nines)| (f64::from(nines), (*label).to_owned()))
            .filter(|(x, _)| *x <= right)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_point_lies_within_the_picture(
            points in proptest::collection::vec((0.0f64..5_000.0, 0.0f64..1e9), 1..40),
        ) {
            let line = Line { name: "x", class: "a", points };
            let svg = plot("t", "ms", &Across::Seconds, &[line]);
            let path = svg.split("class=\"line a\" d=\"").nth(1).unwrap().split('"').next().unwrap();
            for pair in path.split(['M', 'L']).filter(|pair| !pair.is_empty()) {
                let mut numbers = pair.split(['h', ' ']).map(|number| number.parse::<f64>().unwrap());
                let (x, y) = (numbers.next().unwrap(), numbers.next().unwrap());
                prop_assert!((0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y), "{x} {y}");
            }
        }

        #[test]
        fn an_axis_has_two_to_six_round_steps(most in 1e-3f64..1e9) {
            let steps = (most / step_of(most)).ceil();
            prop_assert!((2.0..=6.0).contains(&steps), "{steps}");
        }
    }

    #[test]
    fn nothing_measured_is_said() {
        assert!(plot("t", "ms", &Across::Nines, &[]).contains("Nothing"));
    }
}
