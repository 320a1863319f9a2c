//! The report as one page that needs nothing else: the summary's JSON, and a small script that draws it as SVG.

use super::out::Output;
use super::report::Report;

/// The page, with marks where the colours and the summary go.
const PAGE: &str = include_str!("report.html");
const MARK: &str = "/*SUMMARY*/";
const COLOURS_MARK: &str = "/*COLOURS*/";
/// The colours of the shop's own pages.
const COLOURS: &str = include_str!("../../../http/pages/web/shared/tokens.css");

/// Writes the page.
pub fn write(report: &Report, to: Output) -> anyhow::Result<()> {
    to.write(page(&serde_json::to_string(report)?).as_bytes())
}

fn page(summary: &str) -> String {
    // Within a script element only what looks like its end, or like a comment, is dangerous.
    PAGE.replacen(COLOURS_MARK, COLOURS, 1).replacen(MARK, &summary.replace('<', "\\u003c"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_place_for_the_summary_and_needs_no_network() {
        assert_eq!((PAGE.matches(MARK).count(), PAGE.matches(COLOURS_MARK).count()), (1, 1));
        assert!(COLOURS.contains("--c7:") && !COLOURS.contains(MARK));
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            let inside = PAGE.replacen(COLOURS_MARK, COLOURS, 1).replace("http://www.w3.org/2000/svg", "");
            assert!(!inside.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_text_of_the_server_cannot_end_the_script() {
        let page = page(r#"{"x":"</script><b>"}"#);
        assert!(page.contains(r#"{"x":"\u003c/script>\u003cb>"}"#));
    }
}
