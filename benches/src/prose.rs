//! Lines of a page that are not too wide

/// Columns of a line of prose at most
const MAX_COLUMNS: usize = 118;

/// Breaks a paragraph or an item of a list between words; lines behind the first begin with `indent`
///
/// A word that is wider than a line has one of its own.
pub fn wrap(text: &str, indent: &str) -> String {
    let mut wrapped = String::new();
    let mut columns = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if columns == 0 {
            columns = width;
        } else if columns + 1 + width > MAX_COLUMNS {
            wrapped += "\n";
            wrapped += indent;
            columns = indent.len() + width;
        } else {
            wrapped += " ";
            columns += 1 + width;
        }
        wrapped += word;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_too_wide_and_no_word_is_lost() {
        let text = "- ".to_owned() + &"nine–char ".repeat(40);
        let wrapped = wrap(&text, "  ");
        assert!(wrapped.lines().all(|line| line.chars().count() <= MAX_COLUMNS), "{wrapped}");
        assert!(
            wrapped.lines().count() > 3 && wrapped.lines().skip(1).all(|it| it.starts_with("  n"))
        );
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&wrapped), words(&text));
    }

    #[test]
    fn what_fits_stays_as_it_is_and_a_word_that_never_fits_is_alone() {
        assert_eq!(wrap("Measured on a day.", ""), "Measured on a day.");
        let long = "x".repeat(200);
        assert_eq!(wrap(&format!("a {long} b"), ""), format!("a\n{long}\nb"));
    }
}
