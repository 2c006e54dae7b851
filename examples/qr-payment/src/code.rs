//! A QR code in the terminal, and money as people write it. The only user of `qrcode`.
//!
//! Invariant: a code is drawn light on dark in half blocks, two rows of the code to a line, with the quiet zone that scanners
//! need.

use qrcode::render::unicode::Dense1x2;
use qrcode::types::QrError;
use qrcode::{EcLevel, QrCode};

/// As lines of text.
pub(crate) fn draw(payload: &str) -> Result<String, QrError> {
    // The lowest level of error correction gives the smallest code; nothing scratches a screen.
    let code = QrCode::with_error_correction_level(payload, EcLevel::L)?;
    // A terminal's background is dark as a rule: what is light in the code is drawn (the crate's `Dark`), the rest left out.
    Ok(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(true).build())
}

/// 1999: `19.99`.
pub(crate) fn money(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", minor.unsigned_abs() / 100, minor.unsigned_abs() % 100)
}

#[cfg(test)]
mod tests {
    use qrcode::Color;

    use super::*;

    #[test]
    fn what_is_drawn_is_the_code_in_a_light_frame() {
        let drawn = draw("amendspay:pay?id=order-1").unwrap();
        let rows: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
        let is_light = |x: usize, y: usize| match rows[y / 2][x] {
            '█' => true,
            '▀' => y.is_multiple_of(2),
            '▄' => !y.is_multiple_of(2),
            _ => false,
        };
        let code = QrCode::with_error_correction_level("amendspay:pay?id=order-1", EcLevel::L).unwrap();
        let (width, frame) = (code.width(), 4);
        assert_eq!(rows[0].len(), width + 2 * frame);
        assert!((0..width + 2 * frame).all(|x| is_light(x, 0) && is_light(x, frame - 1)), "the quiet zone");
        for (at, color) in code.to_colors().into_iter().enumerate() {
            let (x, y) = (at % width + frame, at / width + frame);
            assert_eq!(is_light(x, y), color == Color::Light, "module {x},{y}");
        }
    }

    #[test]
    fn money_has_two_digits_behind_the_point() {
        assert_eq!([0, 5, 1999, -1999, i64::MIN].map(money)[..4], ["0.00", "0.05", "19.99", "-19.99"]);
    }
}
