//! The last section of PERFORMANCE.md, which another program writes than the rest

/// The section of a page, from its heading to the end of the page
pub fn section(page: &str) -> Option<&str> {
    let from = page.find(HEADING)?;
    page.get(from + 1..)
}

/// The page with another section, or with one
pub fn with_section(page: &str, section: &str) -> String {
    let rest = page.find(HEADING).map_or(page, |end| &page[..end]);
    format!("{}\n\n{section}", rest.trim_end()).trim_start().to_owned()
}

/// How the section begins, in a line of its own
pub const HEADING: &str = "\n## Side by side\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_survives_another_page_and_is_replaced_by_another() {
        let first = with_section("# Performance\n\nfast\n", "## Side by side\n\nold\n");
        assert_eq!(first, "# Performance\n\nfast\n\n## Side by side\n\nold\n");
        let kept = section(&first).unwrap();
        let written_anew = with_section("# Performance\n\nfaster\n", kept);
        assert_eq!(written_anew, "# Performance\n\nfaster\n\n## Side by side\n\nold\n");
        let again = with_section(&written_anew, "## Side by side\n\nnew\n");
        assert_eq!(again, "# Performance\n\nfaster\n\n## Side by side\n\nnew\n");
    }

    #[test]
    fn a_page_may_have_no_section_or_not_be_there() {
        assert_eq!(section("# Performance\n"), None);
        assert_eq!(with_section("", "## Side by side\n"), "## Side by side\n");
    }
}
