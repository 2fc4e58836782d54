//! Media types by file extension: what a page may play or show, and nothing that runs.
//!
//! An allow-list. Types that can carry script (HTML, SVG, XML, PDF, JavaScript) are not in it.

/// What everything else is: bytes to save, not to show.
pub(crate) const UNKNOWN: &str = "application/octet-stream";

const TYPES: [(&str, &str); 36] = [
    ("3gp", "video/3gpp"),
    ("aac", "audio/aac"),
    ("apng", "image/apng"),
    ("avif", "image/avif"),
    ("avi", "video/x-msvideo"),
    ("bmp", "image/bmp"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("jxl", "image/jxl"),
    ("m2ts", "video/mp2t"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4a", "audio/mp4"),
    ("m4s", "video/iso.segment"),
    ("m4v", "video/mp4"),
    ("mka", "audio/x-matroska"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpd", "application/dash+xml"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("png", "image/png"),
    ("srt", "application/x-subrip"),
    ("ts", "video/mp2t"),
    ("vtt", "text/vtt"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
];

/// The media type of a file called `name`.
pub(crate) fn of(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    TYPES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension))
        .map_or(UNKNOWN, |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_is_a_film_in_either_case() {
        assert_eq!(of("Film.mp4"), "video/mp4");
        assert_eq!(of("a.b.WEBM"), "video/webm");
        assert_eq!(of("subtitles.vtt"), "text/vtt");
    }

    #[test]
    fn what_can_run_is_only_bytes() {
        for name in [
            "a.html",
            "a.htm",
            "a.xhtml",
            "a.svg",
            "a.xml",
            "a.js",
            "a.mjs",
            "a.pdf",
            "a.css",
            "a.mp4.html",
        ] {
            assert_eq!(of(name), UNKNOWN, "{name}");
        }
    }

    #[test]
    fn a_name_without_an_extension_is_only_bytes() {
        for name in ["", "mp4", ".", "film.", "film.mp4/x"] {
            assert_eq!(of(name), UNKNOWN, "{name}");
        }
    }
}
