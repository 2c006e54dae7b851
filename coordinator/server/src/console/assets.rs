//! The files that pages need: one style sheet, one script, one icon. They are in the binary.

use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

use super::trouble::Trouble;

/// Name, type, content.
const ASSETS: [(&str, &str, &str); 3] = [
    ("console.css", "text/css; charset=utf-8", include_str!("../../assets/console.css")),
    ("console.js", "text/javascript; charset=utf-8", include_str!("../../assets/console.js")),
    ("icon.svg", "image/svg+xml", include_str!("../../assets/icon.svg")),
];

pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Trouble> {
    let found = ASSETS.into_iter().find(|(asset, ..)| *asset == name).ok_or_else(Trouble::nowhere)?;
    Ok(([(CONTENT_TYPE, found.1)], found.2).into_response())
}
