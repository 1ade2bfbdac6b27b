//! The last sections of PERFORMANCE.md, which other programs write than the rest

/// The sections of a page that `benches/report` does not write: from the first of their headings to the end of the page
pub fn kept(page: &str) -> Option<&str> {
    let from = page.find(CONNECTOR).or_else(|| page.find(HEADING))?;
    page.get(from + 1..)
}

/// The page with the sections that it had before
pub fn with_kept(page: &str, kept: &str) -> String {
    format!("{}\n\n{kept}", page.trim_end())
}

/// The page with another last section, or with one
pub fn with_section(page: &str, section: &str) -> String {
    let rest = page.find(HEADING).map_or(page, |end| &page[..end]);
    format!("{}\n\n{section}", rest.trim_end()).trim_start().to_owned()
}

/// The heading line of the section that `benches/side-by-side` writes
pub const HEADING: &str = "\n## Side by side\n";

/// The heading line of the section before it, which people write from the output of `benches/sites` and
/// `benches/forward-cost`
const CONNECTOR: &str = "\n## The connector\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_survives_another_page_and_is_replaced_by_another() {
        let first = with_section("# Performance\n\nfast\n", "## Side by side\n\nold\n");
        assert_eq!(first, "# Performance\n\nfast\n\n## Side by side\n\nold\n");
        let kept = kept(&first).unwrap();
        let written_anew = with_kept("# Performance\n\nfaster\n", kept);
        assert_eq!(written_anew, "# Performance\n\nfaster\n\n## Side by side\n\nold\n");
        let again = with_section(&written_anew, "## Side by side\n\nnew\n");
        assert_eq!(again, "# Performance\n\nfaster\n\n## Side by side\n\nnew\n");
    }

    #[test]
    fn the_section_of_the_connector_survives_both() {
        let page = "# Performance\n\nfast\n\n## The connector\n\nsmall\n";
        let page = with_section(page, "## Side by side\n\nold\n");
        let written_anew = with_kept("# Performance\n\nfaster\n", kept(&page).unwrap());
        let sections = "## The connector\n\nsmall\n\n## Side by side\n\nold\n";
        assert_eq!(written_anew, format!("# Performance\n\nfaster\n\n{sections}"));
    }

    #[test]
    fn a_page_may_have_no_section_or_not_be_there() {
        assert_eq!(kept("# Performance\n"), None);
        assert_eq!(with_section("", "## Side by side\n"), "## Side by side\n");
    }
}
